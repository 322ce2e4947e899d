/**
 * `npm run restore -- [--context NAME] [--namespace NAME] [--list | DUMP]` restores the database from the named dump, or from
 * the newest dump. `--list` lists the dumps. The steps of a restore: check the dump; pause KEDA, if the stack uses KEDA; stop the
 * API, the gateway and the worker; restore Postgres; run the migrations of the deployed version; start the worker, which
 * reconciles the sessions with their pods; start the API and the gateway. If only the migrations fail, all three stay stopped.
 * The sessions' pods run all the time. The command needs kubectl. See docs/backup.md.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: {
    context: { type: "string" },
    namespace: { type: "string", default: "berth" },
    list: { type: "boolean" },
  },
  allowPositionals: true,
});
const [wanted = "", ...rest] = positionals;
if (rest.length > 0 || !/^(\d{8}T\d{6}Z)?$/.test(wanted)) {
  console.error(
    "usage: npm run restore -- [--context NAME] [--namespace NAME] [--list | DUMP]\nNAME is the platform's namespace, berth by default. DUMP is the name of a dump, for example 20261121T013000Z. --list lists the dumps.",
  );
  process.exit(1);
}

/** The fields of Deployments and Jobs that this command reads. */
interface Workload {
  spec: {
    replicas: number;
    template: { metadata: { labels: Record<string, string> }; spec: { containers: { image: string }[] } };
  };
  status: { conditions?: { type: string; status: string }[] };
  metadata: { creationTimestamp: string };
}

const started = Date.now();
const id = new Date(started).toISOString().replace(/\D/g, "").slice(0, 14);
const step = (text: string) =>
  console.log(`${String(Math.round((Date.now() - started) / 1000)).padStart(4)} s  ${text}`);

const context = values.context === undefined ? [] : ["--context", values.context];
/**
 * Returns what kubectl prints. kubectl does not write to the terminal itself, because if the terminal is gone, kubectl would fail.
 * Throws with the error that kubectl prints.
 */
const kubectl = (args: string[], input = "") =>
  execFileSync("kubectl", [...context, `--namespace=${values.namespace}`, ...args], {
    encoding: "utf8",
    input,
    stdio: "pipe",
  });
const get = <T>(...what: string[]) => JSON.parse(kubectl(["get", ...what, "--output=json"])) as T;

const imageOf = ({ spec }: Workload) => spec.template.spec.containers[0]?.image;

/**
 * Whether the command was interrupted, for example by Ctrl-C. As after other failures, the command starts all stopped pods again
 * before it ends, unless the migrations were interrupted.
 */
let isInterrupted = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    isInterrupted = true;
  });

/**
 * Makes the Job, waits until it ends, and prints and returns its log. Throws if the Job fails. If the command is interrupted,
 * deletes the Job and throws, because the Job must not exchange the database after the API has started again.
 */
async function run(job: object, name: string): Promise<string> {
  kubectl(["create", "--filename=-"], JSON.stringify(job));
  for (;;) {
    const { conditions = [] } = get<Workload>("job", name).status;
    const [end] = conditions.filter(({ type, status }) => status === "True" && /^(Complete|Failed)$/.test(type));
    const log = end ? kubectl(["logs", `job/${name}`]).trimEnd() : "";
    if (end) console.log(log.replace(/^/gm, "        "));
    if (end?.type === "Complete") return log;
    if (end) throw new Error(`The Job ${name} failed; its log is above.`);
    if (isInterrupted) {
      kubectl(["delete", "job", name, "--cascade=foreground"]);
      throw new Error(`The restore was interrupted, so the Job ${name} was deleted.`);
    }
    await sleep(1_000);
  }
}

/**
 * Runs a Job that is made from the CronJob `postgres-restore`, and returns the Job's log.
 * @param what a part of the Job's name
 * @param dump the name of the dump; "" means the newest dump
 * @param script the script to run instead of the CronJob's own script, which restores the dump
 */
async function restoreJob(what: string, dump: string, script?: string): Promise<string> {
  const name = `postgres-restore-${what}-${id}`;
  const job = JSON.parse(
    kubectl(["create", "job", name, "--from=cronjob/postgres-restore", "--dry-run=client", "--output=json"]),
  );
  job.spec.backoffLimit = 0;
  const [container] = job.spec.template.spec.containers;
  container.env.push({ name: "DUMP", value: dump });
  if (script !== undefined) container.command = ["bash", "-c", script];
  return run(job, name);
}

/** Returns the name of the wanted dump, or of the newest. Throws if the dump does not exist or its checksums are wrong. */
async function checkDump(): Promise<string> {
  const log = await restoreJob("check", wanted, 'bash "$SCRIPTS/find-dump.sh"');
  const [dump] = /^\d{8}T\d{6}Z$/m.exec(log) ?? [];
  if (dump === undefined)
    throw new Error(`The restore check printed no name of a dump. It printed: ${JSON.stringify(log)}`);
  return dump;
}

interface Job {
  name: string;
  job: object;
}

/** The Job that runs the migrations of the deployed version, because the dump may be from an older version. */
function migrationJob(): Job {
  const deployed = imageOf(get<Workload>("deployment", "worker"));
  const { items } = get<{ items: Workload[] }>("jobs", "--selector=app.kubernetes.io/name=migrate");
  // The newest Job is used, because older Jobs, and copies of them by earlier restores, refer to old passwords.
  const [job] = items
    .filter((one) => imageOf(one) === deployed)
    .sort((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
  if (!job)
    throw new Error(
      "The Job that ran the migrations of the deployed version no longer exists. Run `pulumi up --refresh` to make the Job again.",
    );
  const { spec, metadata } = job.spec.template;
  const labels = Object.fromEntries(
    Object.entries(metadata.labels).filter(([key]) => !/job-name|controller-uid/.test(key)),
  );
  const name = `migrate-after-restore-${id}`;
  // Only two retries, because API and worker stay stopped until the Job ends.
  const jobSpec = { ttlSecondsAfterFinished: 86_400, backoffLimit: 2, template: { metadata: { labels }, spec } };
  return { name, job: { apiVersion: "batch/v1", kind: "Job", metadata: { name, labels }, spec: jobSpec } };
}

/** Thrown if the migrations fail after the restored database has replaced the old one. */
class Unmigrated extends Error {
  constructor({ message }: Error) {
    super(
      `${message} The restored database lacks migrations that API, gateway and worker need, so these stay stopped. See docs/backup.md#if-the-migrations-fail.`,
    );
  }
}

/**
 * Waits, at most 2 min, until no job waits in the queue. When the worker starts, it makes a job for every unfinished session.
 */
async function reconciled(): Promise<void> {
  const ask = `fetch("http://127.0.0.1:3000/metrics").then((r) => r.text()).then(console.log)`;
  for (let turn = 0; turn < 60; turn++) {
    const metrics = kubectl(["exec", "deployment/worker", "--", "/nodejs/bin/node", "--eval", ask]);
    if (/^bullmq_waiting_jobs{.*} 0$/m.test(metrics)) return;
    await sleep(2_000);
  }
  step("some sessions still wait for the worker; until then the API shows their state in the dump");
}

function scale(name: string, replicas: number): void {
  kubectl(["scale", `deployment/${name}`, `--replicas=${replicas}`]);
  if (replicas > 0) kubectl(["rollout", "status", `deployment/${name}`, "--timeout=5m"]);
  else kubectl(["wait", "pods", `--selector=app.kubernetes.io/name=${name}`, "--for=delete", "--timeout=2m"]);
}

/** The names of the ScaledObjects `api`, `gateway` and `worker` that exist. They exist if the config has `autoscaler: keda`. */
function scaledObjects(): string[] {
  if (!kubectl(["api-versions"]).split("\n").includes("keda.sh/v1alpha1")) return [];
  const { items } = get<{ items: { metadata: { name: string } }[] }>("scaledobjects.keda.sh");
  return items.map(({ metadata }) => metadata.name).filter((name) => ["api", "gateway", "worker"].includes(name));
}

const paused = "autoscaling.keda.sh/paused";

/**
 * Calls `use` while KEDA is paused, because otherwise KEDA would start the stopped pods again. When a ScaledObject is paused,
 * KEDA deletes the HorizontalPodAutoscaler of this ScaledObject. The function waits for the deletion. If `use` throws Unmigrated,
 * KEDA stays paused.
 */
async function withoutKeda(use: () => Promise<void>): Promise<void> {
  const names = scaledObjects();
  if (names.length === 0) return use();
  const goOn = () => {
    step("let KEDA continue");
    kubectl(["annotate", "scaledobjects.keda.sh", ...names, `${paused}-`]);
  };
  step("pause KEDA");
  try {
    kubectl(["annotate", "scaledobjects.keda.sh", ...names, `${paused}=true`, "--overwrite"]);
    for (const name of names) kubectl(["wait", `hpa/keda-hpa-${name}`, "--for=delete", "--timeout=2m"]);
    await use();
  } catch (error) {
    if (!(error instanceof Unmigrated)) goOn();
    throw error;
  }
  goOn();
}

const replicas = (name: string) => Math.max(1, get<Workload>("deployment", name).spec.replicas);

async function restore(): Promise<void> {
  step("check the dump");
  const dump = await checkDump();
  const migration = migrationJob();
  await withoutKeda(() => exchange(dump, migration));
  step("done. When you are sure that the restore is good, delete the old database: see docs/backup.md");
}

/** Whether the gateway has separate pods. */
const hasGateway = () =>
  kubectl(["get", "deployments", "--selector=app.kubernetes.io/name=gateway", "--output=name"]).trim() !== "";

/**
 * Stops API, gateway and worker, restores the database, runs the migrations, and starts all again. If `restoreJob` fails, the old
 * database is normally still in use, so all start again too. If only the migrations fail, throws Unmigrated and starts nothing.
 */
async function exchange(dump: string, { name, job }: Job): Promise<void> {
  const before = { api: replicas("api"), worker: replicas("worker") };
  const gateway = hasGateway() ? replicas("gateway") : 0;
  const startAll = async () => {
    step("start the worker and wait until it has reconciled the sessions");
    scale("worker", before.worker);
    await reconciled();
    step("start the API");
    scale("api", before.api);
    if (gateway > 0) scale("gateway", gateway);
  };
  try {
    step("stop the API and the worker");
    scale("api", 0);
    if (gateway > 0) scale("gateway", 0);
    scale("worker", 0);
    step("restore Postgres");
    await restoreJob("run", dump);
  } catch (error) {
    await startAll();
    throw error;
  }
  step("run the migrations");
  await run(job, name).catch((error: Error) => {
    throw new Unmigrated(error);
  });
  await startAll();
}

try {
  if (values.list) await restoreJob("list", "", 'ls "$BACKUPS"');
  else await restore();
} catch (error) {
  console.error(`\nThe restore failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
