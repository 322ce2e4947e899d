/**
 * Tests the restore command with a fake kubectl. ../postgres-backup.stack.test.ts tests a real restore.
 */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";

const here = import.meta.dirname;

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "berth-restore-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

/** A folder with one undamaged dump. */
async function backups(): Promise<string> {
  const path = folder();
  const dump = join(path, "20261121T013000Z");
  mkdirSync(dump);
  for (const file of ["database.dump", "manifest"]) writeFileSync(join(dump, file), file);
  await execa("bash", ["-c", "sha256sum database.dump manifest >SHA256SUMS"], { cwd: dump });
  return path;
}

/** Runs the Job's script as the Job's pod does. */
const check = (BACKUPS: string, DUMP: string) =>
  execa("bash", [join(here, "find-dump.sh")], { env: { BACKUPS, DUMP }, reject: false, all: true });

test("the check prints the name of an undamaged dump, by default of the newest", async () => {
  const path = await backups();
  expect(await check(path, "20261121T013000Z")).toMatchObject({ exitCode: 0, all: "20261121T013000Z" });
  expect(await check(path, "")).toMatchObject({ exitCode: 0, all: "20261121T013000Z" });
});

test("the check fails if the dump does not exist, if there is no dump, or if the dump is damaged", async () => {
  const path = await backups();
  expect(await check(path, "20200101T000000Z")).toMatchObject({
    exitCode: 1,
    all: "There is no dump '20200101T000000Z'. There are:\n20261121T013000Z",
  });
  expect((await check(folder(), "")).exitCode).toBe(1);
  writeFileSync(join(path, "20261121T013000Z", "database.dump"), "something else");
  expect((await check(path, "")).all).toContain("database.dump: FAILED");
});

const restoreWith = (answers: string, ...args: string[]) => restoreBy([process.execPath], answers, ...args);

/**
 * Runs `restore.ts` with a fake kubectl. `answers` are cases of a bash `case` over kubectl's arguments after
 * `--namespace=berth`.
 * @param command the command, and its first arguments, to which the path and the arguments of `restore.ts` are added
 */
async function restoreBy([command = "", ...first]: string[], answers: string, ...args: string[]) {
  const bin = folder();
  const calls = join(bin, "calls");
  const job = { spec: { template: { spec: { containers: [{ command: ["bash", "/scripts/restore.sh"], env: [] }] } } } };
  writeFileSync(
    join(bin, "kubectl"),
    `#!/bin/bash
shift # --namespace
echo "$*" >>${calls}
case "$*" in
  ${answers}
  *--dry-run=client*) echo '${JSON.stringify(job)}' ;;
  "create --filename=-") cat >>${calls}; echo >>${calls} ;;
esac
`,
  );
  chmodSync(join(bin, "kubectl"), 0o755);
  const restore = await execa(command, [...first, join(here, "restore.ts"), ...args], {
    env: { PATH: `${bin}:${process.env.PATH}` },
    reject: false,
    all: true,
  });
  return { ...restore, calls: existsSync(calls) ? readFileSync(calls, "utf8").split("\n") : [] };
}

test("a restore of a dump that does not exist stops nothing, and says so without a stack trace", async () => {
  const restore = await restoreWith(
    `get\\ job*) echo '{"status": {"conditions": [{"type": "Failed", "status": "True"}]}}' ;;
  logs*) echo "There is no dump '20200101T000000Z'. There are:" ;;
  get\\ deployment*) echo '{"spec": {"replicas": 1}}' ;;`,
    "20200101T000000Z",
  );
  expect(restore.exitCode).toBe(1);
  expect(restore.all).toContain("There is no dump '20200101T000000Z'");
  expect(restore.all).not.toMatch(/^ +at /m);
  expect(restore.calls.join("\n")).toContain("find-dump.sh");
  expect(restore.calls.join("\n")).not.toMatch(/scale|annotate/);
});

/** The fake kubectl's answers for a stack with two pods of each Deployment and one dump. @param more further answers */
const stack = (more: string) => {
  const deployment = { spec: { replicas: 2, template: { metadata: {}, spec: { containers: [{ image: "api" }] } } } };
  const migration = (creationTimestamp: string, image = "api") => ({
    metadata: { creationTimestamp },
    spec: { template: { metadata: { labels: { made: creationTimestamp } }, spec: { containers: [{ image }] } } },
  });
  const items = [
    migration("2026-11-21T09:00:00Z"),
    migration("2026-11-21T11:00:00Z"),
    migration("2026-11-21T10:00:00Z"),
    migration("2026-11-21T12:00:00Z", "api of a version that is not deployed"),
  ];
  return `${more}
  get\\ deployments*) ;;
  get\\ deployment*) echo '${JSON.stringify(deployment)}' ;;
  get\\ jobs*) echo '${JSON.stringify({ items })}' ;;
  get\\ job*) echo '{"status": {"conditions": [{"type": "Complete", "status": "True"}]}}' ;;
  logs*) echo 20261121T013000Z ;;
  exec*) echo 'bullmq_waiting_jobs{queue="a"} 0' ;;`;
};
/** The calls that change KEDA or the numbers of pods, in order. */
const changes = (calls: string[]) => calls.filter((call) => /^(annotate|scale) |^wait hpa/.test(call));

const scaledObjects = JSON.stringify({ items: ["api", "worker", "else"].map((name) => ({ metadata: { name } })) });
const keda = `api-versions) printf 'apps/v1\nkeda.sh/v1alpha1\n' ;;
  get\\ scaledobjects*) echo '${scaledObjects}' ;;`;
const pause = [
  "annotate scaledobjects.keda.sh api worker autoscaling.keda.sh/paused=true --overwrite",
  "wait hpa/keda-hpa-api --for=delete --timeout=2m",
  "wait hpa/keda-hpa-worker --for=delete --timeout=2m",
];
const goOn = "annotate scaledobjects.keda.sh api worker autoscaling.keda.sh/paused-";

test("KEDA is paused before API and worker stop, and continues when both run again", async () => {
  const { exitCode, all, calls } = await restoreWith(stack(keda));
  expect(exitCode, all).toBe(0);
  expect(changes(calls)).toEqual([
    ...pause,
    "scale deployment/api --replicas=0",
    "scale deployment/worker --replicas=0",
    "scale deployment/worker --replicas=2",
    "scale deployment/api --replicas=2",
    goOn,
  ]);
});

test("separate gateway pods stop after the API and start after the API", async () => {
  const { calls } = await restoreWith(stack("get\\ deployments*) echo deployment.apps/gateway ;;"));
  expect(changes(calls)).toEqual([
    "scale deployment/api --replicas=0",
    "scale deployment/gateway --replicas=0",
    "scale deployment/worker --replicas=0",
    "scale deployment/worker --replicas=2",
    "scale deployment/api --replicas=2",
    "scale deployment/gateway --replicas=2",
  ]);
});

test("the newest migration Job of the deployed version runs, because older Jobs use older passwords", async () => {
  const { calls } = await restoreWith(stack(""));
  const made = calls.filter((call) => call.includes('"kind":"Job"')).map((call) => JSON.parse(call));
  const migrations = made.filter(({ metadata }) => metadata.name.startsWith("migrate-after-restore-"));
  expect(migrations.map(({ metadata }) => metadata.labels)).toEqual([{ made: "2026-11-21T11:00:00Z" }]);
});

test("if the API can't be stopped, API and worker still run again and KEDA continues", async () => {
  const fails = "scale\\ deployment/api\\ --replicas=0) exit 1 ;;";
  const { exitCode, calls } = await restoreWith(stack(`${keda}\n  ${fails}`));
  expect(exitCode).toBe(1);
  expect(changes(calls)).toEqual([
    ...pause,
    "scale deployment/api --replicas=0",
    "scale deployment/worker --replicas=2",
    "scale deployment/api --replicas=2",
    goOn,
  ]);
});

test.each(["TERM", "HUP"])("API and worker run again after a restore that gets SIG%s", async (signal) => {
  // The restore's Job never ends. The process that waits for the Job gets the signal.
  const waits = `get\\ job\\ postgres-restore-run*) kill -${signal} $PPID; echo '{"status": {}}' ;;`;
  const { exitCode, all, calls } = await restoreWith(stack(waits));
  expect(exitCode).toBe(1);
  expect(all).toMatch(/The restore was interrupted, so the Job postgres-restore-run-\d+ was deleted/);
  const deleted = calls.findIndex((call) => /^delete job postgres-restore-run-\d+ --cascade=foreground$/.test(call));
  expect(deleted).toBeGreaterThan(0);
  expect(deleted).toBeLessThan(calls.indexOf("scale deployment/worker --replicas=2"));
  expect(changes(calls).slice(2)).toEqual([
    "scale deployment/worker --replicas=2",
    "scale deployment/api --replicas=2",
  ]);
});

test("if only the migrations fail, nothing starts on the restored database, and KEDA stays paused", async () => {
  const fails = `get\\ job\\ migrate*) echo '{"status": {"conditions": [{"type": "Failed", "status": "True"}]}}' ;;`;
  const { exitCode, all, calls } = await restoreWith(stack(`${keda}\n  ${fails}`));
  expect(exitCode).toBe(1);
  expect(all).toMatch(
    /The Job migrate-after-restore-\d+ failed; its log is above\. .* so these stay stopped\. See docs/,
  );
  expect(changes(calls)).toEqual([
    ...pause,
    "scale deployment/api --replicas=0",
    "scale deployment/worker --replicas=0",
  ]);
});

test("a restore stops nothing if the Job with the migrations does not exist any more", async () => {
  const { exitCode, all, calls } = await restoreWith(stack(`${keda}\n  get\\ jobs*) echo '{"items": []}' ;;`));
  expect(exitCode).toBe(1);
  expect(all).toContain("Run `pulumi up --refresh` to make the Job again.");
  expect(changes(calls)).toEqual([]);
});

test("no pod is stopped if KEDA does not pause", async () => {
  const { exitCode, calls } = await restoreWith(stack(`${keda}\n  wait\\ hpa*) exit 1 ;;`));
  expect(exitCode).toBe(1);
  expect(changes(calls)).toEqual([...pause.slice(0, 2), goOn]);
});

test("nothing is paused in a cluster without KEDA, or if KEDA scales only other Deployments", async () => {
  const others = keda.replace(scaledObjects, '{"items": []}');
  for (const answers of ["api-versions) echo apps/v1 ;;", others]) {
    const { exitCode, all, calls } = await restoreWith(stack(answers));
    expect(exitCode, all).toBe(0);
    expect(changes(calls).filter((call) => !call.startsWith("scale"))).toEqual([]);
  }
});

test("a restore completes although nobody reads its output any more", async () => {
  const piped = ["bash", "-c", '"$@" 2>&1 | true', "bash", process.execPath];
  const { calls } = await restoreBy(piped, stack("logs*) echo 'Found 2 pods' >&2; echo 20261121T013000Z ;;"));
  expect(changes(calls).slice(2)).toEqual([
    "scale deployment/worker --replicas=2",
    "scale deployment/api --replicas=2",
  ]);
});
