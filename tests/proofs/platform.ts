/** The parts of the deployed platform, as its operator sees them. */
import { AppsV1Api } from "@kubernetes/client-node";
import { kubectl } from "../../local/cluster/index.ts";
import { cluster, core, until } from "../berth.ts";

export const apps = cluster.makeApiClient(AppsV1Api);
export const inBerth = (args: string[], input?: string) => kubectl(["--namespace=berth", ...args], input);

/** A query to the database as its superuser, by the socket inside the pod. */
export const query = (text: string) =>
  inBerth(["exec", "postgres-0", "--container=postgres", "--", "psql", "-U", "berth", "-Atqc", text]);

/** Runs a script in a pod of the API, with its packages and its settings; returns what it prints. */
const inApi = (script: string) => inBerth(["exec", "deploy/api", "--", "/nodejs/bin/node", "-e", script]);

/** Runs `body` with the sessions' `queue` (BullMQ) and returns the value of `result` as JSON. */
export async function withQueue<T = null>(body: string): Promise<T> {
  const text = await inApi(`
    const { readFileSync } = require("node:fs");
    const { Queue } = require("bullmq");
    const { REDIS_HOST: host, REDIS_PORT: port, SECRETS_DIR: secrets } = process.env;
    const password = readFileSync(secrets + "/redis-password", "utf8").trim();
    const queue = new Queue("agent-sessions", { connection: { host, port: Number(port), password } });
    (async () => { let result = null; ${body}; console.log(JSON.stringify(result)); process.exit(); })();`);
  return JSON.parse(text) as T;
}

/** Waits until every pod of the Deployment or StatefulSet is of its newest version and ready. */
export const rolledOut = (workload: string) => inBerth(["rollout", "status", workload, "--timeout=180s"]);

/** Waits until API and worker know the tenants as the last `up` left them; sooner than the kubelet's own round. */
export async function tenantsAreKnown(): Promise<void> {
  const wanted = (await core.readNamespacedSecret({ namespace: "berth", name: "tenants" })).data?.["tenants.json"];
  const read = `console.log(require("fs").readFileSync(process.env.TENANTS_FILE, "base64"))`;
  const isKnown = async (pod: string) => {
    // A pod whose annotations change is looked after at once, its files too.
    await inBerth(["annotate", "--overwrite", "pods", pod, `berth.dev/looked-at=${Date.now()}`]);
    return (await inBerth(["exec", pod, "--", "/nodejs/bin/node", "-e", read])) === wanted;
  };
  // The autoscalers may make and end pods meanwhile.
  await until(
    () => "the new tenants in API and worker",
    120,
    async () => {
      const labelSelector = "app.kubernetes.io/name in (api, worker)";
      const { items } = await core.listNamespacedPod({ namespace: "berth", labelSelector });
      const pods = items
        .filter(({ metadata }) => !metadata?.deletionTimestamp)
        .map(({ metadata }) => `${metadata?.name}`);
      const known = await Promise.all(pods.map((pod) => isKnown(pod).catch(() => false)));
      return pods.length > 0 && known.every(Boolean) ? true : undefined;
    },
  );
  // The runtime looks at the file every few seconds.
  await new Promise((resolve) => setTimeout(resolve, 6_000));
}
