/**
 * `npm run restore -- [--context NAME] [--list | DUMP]`: puts the database back to a dump, the newest or the one named;
 * `--list` says which there are. The dump is checked; KEDA, where it decides, is paused; API and worker stop; Postgres is
 * restored; migrations bring it to the deployed version; the worker reconciles the sessions with the pods there are; the
 * API opens again. Sessions' pods run on all the while. Needs kubectl. See docs/backup.md.
 */
import { execFileSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { context: { type: "string" }, list: { type: "boolean" } },
  allowPositionals: true,
});
const [wanted = "", ...rest] = positionals;
if (rest.length > 0 || !/^(\d{8}T\d{6}Z)?$/.test(wanted)) {
  console.error(
    "usage: npm run restore -- [--context NAME] [--list | DUMP], a dump being for example 20261121T013000Z",
  );
  process.exit(1);
}

/** What is read of Deployments and Jobs. */
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
const kubectl = (args: string[], input = "") =>
  execFileSync("kubectl", [...context, "--namespace=berth", ...args], {
    encoding: "utf8",
    input,
    stdio: ["pipe", "pipe", "inherit"],
  });
const get = <T>(...what: string[]) => JSON.parse(kubectl(["get", ...what, "--output=json"])) as T;

const imageOf = ({ spec }: Workload) => spec.template.spec.containers[0]?.image;

/** By Ctrl-C, for example. What has been stopped is started again before the command ends, as after any failure. */
let isInterrupted = false;
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.on(signal, () => {
    isInterrupted = true;
  });

/** Runs the Job to its end, shows what it says and returns that. Throws where it fails. */
async function run(job: object, name: string): Promise<string> {
  kubectl(["create", "--filename=-"], JSON.stringify(job));
  for (;;) {
    const { conditions = [] } = get<Workload>("job", name).status;
    const [end] = conditions.filter(({ type, status }) => status === "True" && /^(Complete|Failed)$/.test(type));
    const log = end ? kubectl(["logs", `job/${name}`]).trimEnd() : "";
    if (end) console.log(log.replace(/^/gm, "        "));
    if (end?.type === "Complete") return log;
    if (end) throw new Error(`The Job ${name} failed, as said above.`);
    if (isInterrupted) throw new Error(`It was interrupted; the Job ${name} may still run.`);
    await sleep(1_000);
  }
}

/**
 * A Job from the CronJob that never runs by itself; returns what it says.
 * @param what for its name
 * @param dump the dump that it works on; "": the newest
 * @param script what it runs in place of its own command, which restores the dump
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

/** The dump's name, the newest's if none is wanted. Throws if it isn't there or isn't as it was written. */
async function checkDump(): Promise<string> {
  const log = await restoreJob("check", wanted, 'bash "$SCRIPTS/find-dump.sh"');
  const [dump] = /^\d{8}T\d{6}Z$/m.exec(log) ?? [];
  if (dump === undefined) throw new Error(`The check says ${JSON.stringify(log)}, which is no dump's name.`);
  return dump;
}

/** The migrations of the version that is deployed: the dump may be of an older one. */
async function migrate(): Promise<void> {
  const deployed = imageOf(get<Workload>("deployment", "worker"));
  const { items } = get<{ items: Workload[] }>("jobs", "--selector=app.kubernetes.io/name=migrate");
  // The newest: an older one knows the passwords of its time, and so does what an earlier restore made of one.
  const [job] = items
    .filter((one) => imageOf(one) === deployed)
    .sort((a, b) => b.metadata.creationTimestamp.localeCompare(a.metadata.creationTimestamp));
  if (!job) throw new Error("The Job of the deployed version's migrations is gone: run `pulumi up --refresh`.");
  const { spec, metadata } = job.spec.template;
  const labels = Object.fromEntries(
    Object.entries(metadata.labels).filter(([key]) => !/job-name|controller-uid/.test(key)),
  );
  const name = `migrate-after-restore-${id}`;
  await run(
    {
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name, labels },
      // API and worker wait for it: what failed three times goes on failing.
      spec: { ttlSecondsAfterFinished: 86_400, backoffLimit: 2, template: { metadata: { labels }, spec } },
    },
    name,
  );
}

/** Waits until the worker, which enqueues every unfinished session when it starts, has begun with all: 2 min at most. */
async function reconciled(): Promise<void> {
  const ask = `fetch("http://127.0.0.1:3000/metrics").then((r) => r.text()).then(console.log)`;
  for (let turn = 0; turn < 60; turn++) {
    const metrics = kubectl(["exec", "deployment/worker", "--", "/nodejs/bin/node", "--eval", ask]);
    if (/^bullmq_waiting_jobs{.*} 0$/m.test(metrics)) return;
    await sleep(2_000);
  }
  step("some sessions still wait for the worker; the API shows them as they were in the dump");
}

function scale(name: string, replicas: number): void {
  kubectl(["scale", `deployment/${name}`, `--replicas=${replicas}`]);
  if (replicas > 0) kubectl(["rollout", "status", `deployment/${name}`, "--timeout=5m"]);
  else kubectl(["wait", "pods", `--selector=app.kubernetes.io/name=${name}`, "--for=delete", "--timeout=2m"]);
}

/** Those of the ScaledObjects `api`, `gateway` and `worker` that are there: with `autoscaler: keda`. */
function scaledObjects(): string[] {
  if (!kubectl(["api-versions"]).split("\n").includes("keda.sh/v1alpha1")) return [];
  const { items } = get<{ items: { metadata: { name: string } }[] }>("scaledobjects.keda.sh");
  return items.map(({ metadata }) => metadata.name).filter((name) => ["api", "gateway", "worker"].includes(name));
}

const paused = "autoscaling.keda.sh/paused";

/**
 * Calls `use` while KEDA leaves the numbers of pods alone, which else it raises from 0 to the least. KEDA deletes its
 * HorizontalPodAutoscaler when it has stopped.
 */
async function withoutKeda(use: () => Promise<void>): Promise<void> {
  const names = scaledObjects();
  if (names.length === 0) return use();
  step("KEDA is paused");
  try {
    kubectl(["annotate", "scaledobjects.keda.sh", ...names, `${paused}=true`, "--overwrite"]);
    for (const name of names) kubectl(["wait", `hpa/keda-hpa-${name}`, "--for=delete", "--timeout=2m"]);
    await use();
  } finally {
    step("KEDA goes on");
    kubectl(["annotate", "scaledobjects.keda.sh", ...names, `${paused}-`]);
  }
}

const replicas = (name: string) => Math.max(1, get<Workload>("deployment", name).spec.replicas);

async function restore(): Promise<void> {
  step("the dump is checked");
  const dump = await checkDump();
  await withoutKeda(() => exchange(dump));
  step("done. When all is well, drop what was replaced: see docs/backup.md");
}

/** Whether the gateway has pods of its own. */
const hasGateway = () =>
  kubectl(["get", "deployments", "--selector=app.kubernetes.io/name=gateway", "--output=name"]).trim() !== "";

/** From the stop of API, gateway and worker to their start. */
async function exchange(dump: string): Promise<void> {
  const before = { api: replicas("api"), worker: replicas("worker") };
  const gateway = hasGateway() ? replicas("gateway") : 0;
  try {
    step("API and worker stop");
    scale("api", 0);
    if (gateway > 0) scale("gateway", 0);
    scale("worker", 0);
    step("Postgres is restored");
    await restoreJob("run", dump);
    step("the migrations run");
    await migrate();
  } finally {
    // Where a step failed, also one of the stops, the database is the one there was.
    step("the worker starts and reconciles");
    scale("worker", before.worker);
    await reconciled();
    step("the API opens");
    scale("api", before.api);
    if (gateway > 0) scale("gateway", gateway);
  }
}

try {
  if (values.list) await restoreJob("list", "", 'ls "$BACKUPS"');
  else await restore();
} catch (error) {
  console.error(`\nThe restore failed: ${(error as Error).message}`);
  process.exitCode = 1;
}
