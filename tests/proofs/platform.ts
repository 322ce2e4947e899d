/** Access to the parts of the deployed platform, as an operator has it. */
import { patience, until } from "@berth/testing/until.ts";
import { AppsV1Api } from "@kubernetes/client-node";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { cluster, core } from "../berth.ts";

export const apps = cluster.makeApiClient(AppsV1Api);
export const inBerth = (args: string[], input?: string) => kubectl(["--namespace=berth", ...args], input);

/** Runs a query in the database as superuser, by the socket inside the pod. */
export const query = (text: string) =>
  inBerth(["exec", "postgres-0", "--container=postgres", "--", "psql", "-U", "berth", "-Atqc", text]);

/** Runs a script in a pod of the API, with the API's packages and settings. Returns the script's output. */
const inApi = (script: string) => inBerth(["exec", "deploy/api", "--", "/nodejs/bin/node", "-e", script]);

/** Runs `body` with the sessions' `queue` (BullMQ), and returns the value that `body` has assigned to `result`. */
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

/** The migration in the version that the rollout proof deploys. */
export const proofMigration = "9999_proof";

/**
 * Undoes the migration. A later version of Berth would not do this, but after the rollout proof the database must be as
 * before.
 */
export const forgetMigration = () =>
  query(
    `alter table if exists sessions drop column if exists proof; delete from kysely_migration where name = '${proofMigration}'`,
  );

/** The upgrade proof adds ended sessions, which belong to this tenant, and queued sessions, which have this label. */
export const endedTenant = "ended-before";
export const queuedLabel = { proof: "upgrade" };

/** Deletes what the upgrade proof writes to the database. This also stops the proof's writer. */
export const forgetUpgrade = () => {
  const made = `sessions where tenant = '${endedTenant}' or (state = 'queued' and labels @> '${JSON.stringify(queuedLabel)}')`;
  return query(`
    drop table if exists upgrade_proof;
    delete from session_events where session_id in (select id from ${made});
    delete from ${made}`);
};

/** Removes the rate limit of the autoscaling proof, so that all workers can take jobs again. */
export const releaseQueue = () => withQueue("await queue.removeGlobalRateLimit(); await queue.removeRateLimitKey()");

/** Waits until every pod of the Deployment or StatefulSet has the newest version and is ready. */
export const rolledOut = (workload: string) => inBerth(["rollout", "status", workload, `--timeout=${180 * patience}s`]);

/**
 * Waits until API, gateway and worker have read the tenants file of the last `up`. The kubelet must have updated the file in
 * each pod, and the runtime must have logged that it read the file, or must have started after the update.
 */
export async function tenantsAreKnown(): Promise<void> {
  const wanted = (await core.readNamespacedSecret({ namespace: "berth", name: "tenants" })).data?.["tenants.json"];
  const script = `const { readFileSync, statSync } = require("fs"), file = process.env.TENANTS_FILE;
    console.log(JSON.stringify({ text: readFileSync(file, "base64"), writtenMs: statSync(file).mtimeMs }))`;
  const isKnown = async (pod: string, startedMs: number) => {
    const file = JSON.parse(await inBerth(["exec", pod, "--", "/nodejs/bin/node", "-e", script]));
    if (file.text !== wanted) return "has a stale file";
    const reads = (await inBerth(["logs", pod])).split("\n").filter((line) => line.includes('"msg":"tenants read"'));
    // The start time is in whole seconds, so a file that already existed at the start may seem newer than the start.
    const readMs = [startedMs + 1_000, ...reads.map((line) => Date.parse(JSON.parse(line).time))];
    return Math.max(...readMs) > file.writtenMs ? "known" : "has not read the file";
  };
  await until(
    "API, gateway and worker know the tenants of the last `up`",
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
