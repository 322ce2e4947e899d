/**
 * What a restore does before it stops anything, with a stand-in for kubectl. The whole restore is run by
 * ../postgres-backup.stack.test.ts.
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

/** A folder with one dump that is whole. */
async function backups(): Promise<string> {
  const path = folder();
  const dump = join(path, "20261121T013000Z");
  mkdirSync(dump);
  for (const file of ["database.dump", "manifest"]) writeFileSync(join(dump, file), file);
  await execa("bash", ["-c", "sha256sum database.dump manifest >SHA256SUMS"], { cwd: dump });
  return path;
}

/** The Job's script, as the Job's pod runs it. */
const check = (BACKUPS: string, DUMP: string) =>
  execa("bash", [join(here, "find-dump.sh")], { env: { BACKUPS, DUMP }, reject: false, all: true });

test("the check names the dump that is there and whole, the newest by default", async () => {
  const path = await backups();
  expect(await check(path, "20261121T013000Z")).toMatchObject({ exitCode: 0, all: "20261121T013000Z" });
  expect(await check(path, "")).toMatchObject({ exitCode: 0, all: "20261121T013000Z" });
});

test("the check fails where the dump is not there, none is, or it is damaged", async () => {
  const path = await backups();
  expect(await check(path, "20200101T000000Z")).toMatchObject({
    exitCode: 1,
    all: "There is no dump '20200101T000000Z'. There are:\n20261121T013000Z",
  });
  expect((await check(folder(), "")).exitCode).toBe(1);
  writeFileSync(join(path, "20261121T013000Z", "database.dump"), "something else");
  expect((await check(path, "")).all).toContain("database.dump: FAILED");
});

/** `restore.ts` with a stand-in for kubectl; `answers` are cases of bash, by its arguments after `--namespace=berth`. */
async function restoreWith(answers: string, ...args: string[]) {
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
  const restore = await execa(process.execPath, [join(here, "restore.ts"), ...args], {
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

/** A stack with two API pods and a worker, whose dump is there. */
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
/** What is done to KEDA and to the numbers of pods, in order. */
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

test("KEDA is paused before API and worker stop, and goes on when both run again", async () => {
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

test("a gateway in pods of its own stops after the API, and begins again when the API has", async () => {
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

test("the migrations that run are those of the deployed version that were made last: earlier ones know earlier passwords", async () => {
  const { calls } = await restoreWith(stack(""));
  const made = calls.filter((call) => call.includes('"kind":"Job"')).map((call) => JSON.parse(call));
  const migrations = made.filter(({ metadata }) => metadata.name.startsWith("migrate-after-restore-"));
  expect(migrations.map(({ metadata }) => metadata.labels)).toEqual([{ made: "2026-11-21T11:00:00Z" }]);
});

test("API and worker run again, and KEDA goes on, also where the API could not be stopped", async () => {
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

test("API and worker run again also where the restore is interrupted", async () => {
  // The restore's Job never ends; what waits for it is told to end.
  const waits = "get\\ job\\ postgres-restore-run*) kill -TERM $PPID; echo '{\"status\": {}}' ;;";
  const { exitCode, all, calls } = await restoreWith(stack(waits));
  expect(exitCode).toBe(1);
  expect(all).toMatch(/It was interrupted; the Job postgres-restore-run-\d+ may still run/);
  expect(changes(calls).slice(2)).toEqual([
    "scale deployment/worker --replicas=2",
    "scale deployment/api --replicas=2",
  ]);
});

test("nothing stops where KEDA does not say that it has paused", async () => {
  const { exitCode, calls } = await restoreWith(stack(`${keda}\n  wait\\ hpa*) exit 1 ;;`));
  expect(exitCode).toBe(1);
  expect(changes(calls)).toEqual([...pause.slice(0, 2), goOn]);
});

test("a cluster without KEDA, or whose KEDA scales others, has nothing to pause", async () => {
  const others = keda.replace(scaledObjects, '{"items": []}');
  for (const answers of ["api-versions) echo apps/v1 ;;", others]) {
    const { exitCode, all, calls } = await restoreWith(stack(answers));
    expect(exitCode, all).toBe(0);
    expect(changes(calls).filter((call) => !call.startsWith("scale"))).toEqual([]);
  }
});
