/** The parts of the deployed platform, as its operator sees them. */
import { until } from "@berth/testing/until.ts";
import { AppsV1Api } from "@kubernetes/client-node";
import { kubectl } from "../../local/cluster/index.ts";
import { cluster, core } from "../berth.ts";

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

/** The migration of the version that the rollout's proof deploys. */
export const proofMigration = "9999_proof";

/** What a later version of Berth would not have to do: after the rollout's proof the database goes back too. */
export const forgetMigration = () =>
  query(
    `alter table if exists sessions drop column if exists proof; delete from kysely_migration where name = '${proofMigration}'`,
  );

/** The sessions of the upgrade's proof that ended long ago have this tenant, and those that it keeps in the queue this label. */
export const endedTenant = "ended-before";
export const queuedLabel = { proof: "upgrade" };

/** Removes what the upgrade's proof writes into the database, and so ends its writer. */
export const forgetUpgrade = () => {
  const made = `sessions where tenant = '${endedTenant}' or (state = 'queued' and labels @> '${JSON.stringify(queuedLabel)}')`;
  return query(`
    drop table if exists upgrade_proof;
    delete from session_events where session_id in (select id from ${made});
    delete from ${made}`);
};

/** Takes away the limit that the autoscaling's proof sets, so that jobs are taken as fast as there are workers for them. */
export const releaseQueue = () => withQueue("await queue.removeGlobalRateLimit(); await queue.removeRateLimitKey()");

/** Waits until every pod of the Deployment or StatefulSet is of its newest version and ready. */
export const rolledOut = (workload: string) => inBerth(["rollout", "status", workload, "--timeout=180s"]);

/**
 * Waits until API, gateway and worker have read the tenants as the last `up` left them: the kubelet has brought the file to each pod,
 * and the runtime has logged that it read it, or has started since.
 */
export async function tenantsAreKnown(): Promise<void> {
  const wanted = (await core.readNamespacedSecret({ namespace: "berth", name: "tenants" })).data?.["tenants.json"];
  const look = `const { readFileSync, statSync } = require("fs"), file = process.env.TENANTS_FILE;
    console.log(JSON.stringify({ text: readFileSync(file, "base64"), writtenMs: statSync(file).mtimeMs }))`;
  const isKnown = async (pod: string, startedMs: number) => {
    const file = JSON.parse(await inBerth(["exec", pod, "--", "/nodejs/bin/node", "-e", look]));
    if (file.text !== wanted) return "has the file of before";
    const reads = (await inBerth(["logs", pod])).split("\n").filter((line) => line.includes('"msg":"tenants read"'));
    // The start is told in whole seconds, so the file that was there before may look younger.
    const readMs = [startedMs + 1_000, ...reads.map((line) => Date.parse(JSON.parse(line).time))];
    return Math.max(...readMs) > file.writtenMs ? "known" : "has not read the file";
  };
  await until(
    "API and worker know the tenants of the last `up`",
    120,
    async () => {
      const labelSelector = "app.kubernetes.io/name in (api, gateway, worker)";
      const { items } = await core.listNamespacedPod({ namespace: "berth", labelSelector });
      const pods = items.filter(({ metadata }) => !metadata?.deletionTimestamp);
      const states = pods.map(async ({ metadata, status }) => {
        const started = status?.containerStatuses?.[0]?.state?.running?.startedAt;
        return [
          metadata?.name,
          started ? await isKnown(`${metadata?.name}`, Number(started)) : "does not run",
        ] as const;
      });
      return Object.fromEntries(await Promise.all(states));
    },
    (pods) => Object.keys(pods).length > 0 && Object.values(pods).every((state) => state === "known"),
  );
}
