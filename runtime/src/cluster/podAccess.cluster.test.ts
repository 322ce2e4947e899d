/** Reads the logs of a real pod with exactly the rights of the gateway (or of the API, if its pods are the gateway). */
import { randomUUID } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import { CoreV1Api, KubeConfig, RbacAuthorizationV1Api } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { admin, openWorker, useCluster } from "../testing/cluster.ts";
import { loadKubeConfig } from "./kubernetes.ts";
import { PodAccess, PodAccessError } from "./podAccess.ts";

const place = useCluster();
const { namespace } = place;

/** A kubeconfig for a new ServiceAccount with these rights in the namespace. */
async function withRights(rules: { resource: string; verbs: string[] }[]): Promise<KubeConfig> {
  const name = `api-${randomUUID()}`;
  const rbac = loadKubeConfig().makeApiClient(RbacAuthorizationV1Api);
  const metadata = { name };
  await admin.createNamespacedServiceAccount({ namespace, body: { metadata } });
  await rbac.createNamespacedRole({
    namespace,
    body: { metadata, rules: rules.map(({ resource, verbs }) => ({ apiGroups: [""], resources: [resource], verbs })) },
  });
  await rbac.createNamespacedRoleBinding({
    namespace,
    body: {
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", name, namespace }],
    },
  });
  const request = { namespace, name, body: { spec: { audiences: [], expirationSeconds: 3600 } } };
  const { status } = await admin.createNamespacedServiceAccountToken(request);
  const cluster = loadKubeConfig().getCurrentCluster();
  if (cluster === null) throw new Error("no cluster");
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [cluster],
    users: [{ name, token: status?.token }],
    contexts: [{ name, user: name, cluster: cluster.name }],
    currentContext: name,
  });
  return config;
}

const logsOnly = [{ resource: "pods/log", verbs: ["get"] }];
const options = { follow: false, tail: 100, timestamps: false };

/** A running session whose agent prints a number every second. */
async function runningSession() {
  const worker = await openWorker(place, { agent: "for i in $(seq 600); do echo line $i; sleep 1; done" });
  const { id } = await worker.create();
  return { ...worker, session: await worker.become(id, "running") };
}

test("the log is read and followed with the right to read logs only, and this right allows nothing else", async () => {
  const { session } = await runningSession();
  const config = await withRights(logsOnly);
  const pods = new PodAccess(config);
  const end = new AbortController();
  const log = await pods.logs(session, { ...options, follow: true }, end.signal);
  let text = "";
  log.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  log.on("error", () => {}); // caused by the abort below
  await until(
    "the log has the lines 1 to 4",
    60,
    () => text,
    (seen) => /line 1\n(.*\n)*line 4\n/.test(seen),
  );
  end.abort();
  expect(
    (await (await pods.logs(session, { ...options, tail: 1 }, new AbortController().signal)).toArray()).join(""),
  ).toMatch(/^line \d+\n$/);

  const core = config.makeApiClient(CoreV1Api);
  await expect(core.listNamespacedPod({ namespace })).rejects.toMatchObject({ code: 403 });
  const missing = { ...session, id: "00000000-0000-4000-8000-000000000000" };
  const nothing = pods.logs(missing, options, new AbortController().signal);
  await expect(nothing).rejects.toBeInstanceOf(PodAccessError);
});
