/**
 * The stack prod on the local cluster: Pulumi.prod.yaml with the changes that prod-on-this-machine.ts makes. The proof deploys
 * prod instead of `dev`, and deploys `dev` again afterwards.
 */
import { until } from "@berth/testing/until.ts";
import * as k8s from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, cluster, keyOf } from "../berth.ts";
import { prodOnThisMachine } from "../prod-on-this-machine.ts";
import { deploy, upOrThrow } from "../pulumi.ts";

const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  cleanUp.defer(async () => expect((await upOrThrow()).operations).toEqual([])); // runs after `dev` is deployed again
  await deploy(cleanUp, {
    change: (file) => {
      file.config = prodOnThisMachine(file.config);
    },
  });
});

afterAll(() => cleanUp.disposeAsync());

const apps = cluster.makeApiClient(k8s.AppsV1Api);
const namespace = "berth";

/** Returns the workloads whose pods are not all ready, for example `api 1/3`. */
async function unready(): Promise<string[]> {
  const [deployments, statefulSets, daemonSets] = await Promise.all([
    apps.listNamespacedDeployment({ namespace }),
    apps.listNamespacedStatefulSet({ namespace }),
    apps.listNamespacedDaemonSet({ namespace }),
  ]);
  const counts = [
    ...[...deployments.items, ...statefulSets.items].map(({ metadata, spec, status }) => ({
      name: metadata?.name,
      wanted: spec?.replicas,
      ready: status?.readyReplicas ?? 0,
    })),
    ...daemonSets.items.map(({ metadata, status }) => ({
      name: metadata?.name,
      wanted: status?.desiredNumberScheduled,
      ready: status?.numberReady ?? 0,
    })),
  ];
  return counts
    .filter(({ wanted, ready }) => ready !== wanted)
    .map(({ name, wanted, ready }) => `${name} ${ready}/${wanted}`);
}

test("all replicas of prod are ready, at least three of the API and two of the worker", async () => {
  const replicas = async (name: string) =>
    (await apps.readNamespacedDeployment({ name, namespace })).status?.readyReplicas ?? 0;
  await until(
    "all pods of prod are ready",
    180,
    async () => {
      const [api, worker, others] = await Promise.all([replicas("api"), replicas("worker"), unready()]);
      return [...others, ...(api < 3 ? [`api ${api}/3`] : []), ...(worker < 2 ? [`worker ${worker}/2`] : [])];
    },
    (missing) => missing.length === 0,
  );
});

test("prod serves its tenants", async () => {
  expect((await call(keyOf("acme"), "GET", "/v1/sessions")).status).toBe(200);
});
