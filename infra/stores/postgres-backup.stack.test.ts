/** Tests dumps, the restore check and a restore on the deployed stack `dev`. */
import { randomBytes } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { kubectlWait } from "../../local/cluster/testing.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { machine, root } from "../../machine/machine.ts";

const { apiNodePort } = machine;

const inBerth = (args: string[], input?: string) => kubectl(["--namespace=berth", ...args], input);
const jobs: string[] = [];

afterAll(async () => {
  if (jobs.length > 0) await inBerth(["delete", "job", "--ignore-not-found", ...jobs]);
});

interface JobSpec {
  backoffLimit: number;
  template: { spec: { containers: [{ command: string[]; env: { name: string; value: string }[] }] } };
}

/** Starts a Job from a CronJob, as an operator would do with kubectl. @param change changes the Job */
async function start(cronJob: string, change: (spec: JobSpec) => void = () => {}): Promise<string> {
  const name = `test-${randomBytes(4).toString("hex")}`;
  const create = ["create", "job", name, `--from=cronjob/${cronJob}`, "--dry-run=client", "--output=json"];
  const job = JSON.parse(await inBerth(create));
  delete job.metadata.ownerReferences; // the CronJob would delete its failed Jobs except the last one
  change(job.spec);
  jobs.push(name);
  await inBerth(["create", "--filename=-"], JSON.stringify(job));
  return name;
}

/** Waits until the Job ends. The returned log is that of all its pods, because Kubernetes replaces a pod that fails. */
async function endOf(name: string): Promise<{ succeeded: boolean; log: string }> {
  const conditions = async (): Promise<string[]> =>
    (JSON.parse(await inBerth(["get", "job", name, "--output=json"])).status.conditions ?? []).map(
      ({ type }: { type: string }) => type,
    );
  const isEnd = (type: string) => type === "Complete" || type === "Failed";
  const types = await until(`job ${name} has ended`, 150, conditions, (types) => types.some(isEnd));
  const log = await inBerth(["logs", `--selector=job-name=${name}`, "--tail=-1"]);
  return { succeeded: types.includes("Complete"), log };
}

const run = async (cronJob: string) => endOf(await start(cronJob));

/** Runs a query as the superuser, through the socket inside the pod. */
const query = (text: string, database = "berth") =>
  inBerth(["exec", "postgres-0", "--container=postgres", "--", "psql", "-U", "berth", "-d", database, "-Atqc", text]);

/** The value of a metric at the worker's /metrics. NaN if Postgres did not answer within the worker's limit of 1 s. */
async function metric(name: string): Promise<number> {
  const ask = `fetch("http://127.0.0.1:3000/metrics").then((r) => r.text()).then(console.log)`;
  const text = await inBerth(["exec", "deploy/worker", "--", "/nodejs/bin/node", "--eval", ask]);
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

test("a dump is made and passes the restore check, and metrics report the time of both", async () => {
  const started = Date.now() / 1000 - 1;
  expect(await run("postgres-dump")).toMatchObject({
    succeeded: true,
    log: expect.stringContaining("public.sessions|"),
  });
  expect(await run("postgres-restore-check")).toMatchObject({
    succeeded: true,
    log: expect.stringContaining("the same as when it was dumped"),
  });
  for (const what of ["backup", "restore_check"]) {
    const last = () => metric(`berth_${what}_last_success_timestamp_seconds`);
    await until(`the metric of the ${what} is newer than the test`, 60, last, (seconds) => seconds > started);
  }
});

/** Waits until no scheduled restore check runs. No scheduled restore check starts until the end of the scope. */
async function withoutScheduledChecks(): Promise<AsyncDisposable> {
  const suspend = (value: boolean) =>
    inBerth(["patch", "cronjob", "postgres-restore-check", "--patch", JSON.stringify({ spec: { suspend: value } })]);
  await suspend(true);
  const active = () => inBerth(["get", "cronjob", "postgres-restore-check", "--output=jsonpath={.status.active}"]);
  await until("no scheduled check runs", 150, active, (found) => found === "");
  return { [Symbol.asyncDispose]: async () => void (await suspend(false)) };
}

const sums = "sha256sum database.dump manifest >SHA256SUMS";

/** Ways to damage a copy of the newest dump, and for each the error that the check must print. */
const damages = [
  [
    "is damaged on its volume",
    "printf '\\377%.0s' {1..16} | dd of=database.dump bs=1 seek=3000 conv=notrunc status=none",
    /database\.dump: FAILED/,
  ],
  [
    "can't be restored, although its checksums are right",
    `truncate --size=-2000 database.dump; ${sums}`,
    /pg_restore: error/,
  ],
  ["lacks a row", `sed --in-place 's/sessions|/&1/' manifest; ${sums}`, /^< .*sessions\|1/m],
] as const;

test("the check fails if the newest dump is damaged, can't be restored or lacks a row", async () => {
  await using _ = await withoutScheduledChecks();
  const before = await query("select last_success from backup.status where job = 'restore-check'");
  // A pod with write access to the dumps' volume makes a folder for each kind of damage. The folder contains an undamaged older
  // dump and a damaged newer one.
  const keeper = await start("postgres-dump", ({ template }) => {
    template.spec.containers[0].command = ["bash", "-c", "trap exit TERM; sleep infinity & wait"];
  });
  await kubectlWait("jsonpath={.status.ready}=1", 90, "--namespace=berth", `job/${keeper}`);
  const shell = (command: string) =>
    inBerth(["exec", `job/${keeper}`, "--", "bash", "-euo", "pipefail", "-c", command]);
  const folders = damages.map((_, index) => `/backups/${keeper}-${index}`);
  try {
    const checks = damages.map(async ([, damage], index) => {
      const copy = `mkdir ${folders[index]}; cp -r "$(ls -d "$BACKUPS"/[0-9]*Z | tail -n 1)" ${folders[index]}/20200101T000000Z`;
      await shell(
        `${copy}; cd ${folders[index]}; cp -r 20200101T000000Z 20990101T000000Z; cd 20990101T000000Z; ${damage}`,
      );
      const check = await start("postgres-restore-check", (spec) => {
        spec.backoffLimit = 0;
        const [{ env }] = spec.template.spec.containers;
        for (const variable of env) if (variable.name === "BACKUPS") variable.value = folders[index] ?? "";
      });
      return endOf(check);
    });
    for (const [index, outcome] of (await Promise.all(checks)).entries()) {
      const [what, , says] = damages[index] ?? [];
      expect(outcome, what).toEqual({ succeeded: false, log: expect.stringMatching(says ?? "") });
    }
  } finally {
    await shell(`rm -rf ${folders.join(" ")}`);
    await inBerth(["delete", "job", keeper, "--wait=false"]);
  }
  expect(await query("select last_success from backup.status where job = 'restore-check'")).toBe(before);
});

/** Runs the restore command as an operator does. */
const restore = (dump: string) =>
  execa("npm", ["run", "--silent", "restore", "--", dump], {
    cwd: root,
    env: stackEnvironment(),
    reject: false,
    all: true,
  });

test("a restore of a dump that does not exist ends before any pod is stopped", async () => {
  const before = await livingPods();
  expect(await restore("20200101T000000Z")).toMatchObject({
    exitCode: 1,
    all: expect.stringContaining("There is no dump '20200101T000000Z'"),
  });
  // A restore stops all pods of these Deployments. The autoscaler may meanwhile remove some of them, but never all.
  const after = await livingPods();
  for (const [name, pods] of before) {
    const kept = [...pods].filter((pod) => after.get(name)?.has(pod));
    expect(kept, name).not.toEqual([]);
  }
});

/** The UIDs of the pods that are not being deleted, for each Deployment that a restore stops. */
async function livingPods(): Promise<Map<string, Set<string>>> {
  const found = async (name: string): Promise<Set<string>> => {
    const { items } = JSON.parse(
      await inBerth(["get", "pods", `--selector=app.kubernetes.io/name=${name}`, "--output=json"]),
    );
    const living = (items as { metadata: { uid: string; deletionTimestamp?: string } }[]).filter(
      ({ metadata }) => metadata.deletionTimestamp === undefined,
    );
    return new Set(living.map(({ metadata }) => metadata.uid));
  };
  return new Map(await Promise.all(["api", "worker"].map(async (name) => [name, await found(name)] as const)));
}

test("one command restores the database, also a second time, and the API serves again", async () => {
  await query("create table if not exists restore_probe (id int)");
  const warmSession = `00000000-0000-4000-8000-${randomBytes(6).toString("hex")}`;
  await query(`insert into sessions (id, tenant, namespace, tier, state, warm)
    values ('${warmSession}', 'acme', 'tenant-acme', 'small', 'stopped', 'made-ahead')`);
  const lastEvent = async (database: string) =>
    Number(await query(`select last_value from session_events_id_seq`, database));
  try {
    const { succeeded, log } = await run("postgres-dump");
    expect(succeeded, log).toBe(true);
    const [dump] = /\d{8}T\d{6}Z/.exec(log) ?? [];
    await query("drop table restore_probe");
    const first = await restore(`${dump}`);
    expect(first.exitCode, first.all).toBe(0);
    expect(await query("select count(*) from restore_probe")).toBe("0");
    // After a restore, no tenant may get a warm session from the dump, because the session may have been given to someone
    // after the dump.
    expect(await query(`select warm from sessions where id = '${warmSession}'`)).toBe("restored");
    expect(await lastEvent("berth")).toBeGreaterThan(await lastEvent("berth_replaced"));
    // After a second restore of the same dump, no event id repeats.
    const second = await restore(`${dump}`);
    expect(second.exitCode, second.all).toBe(0);
    expect(await lastEvent("berth")).toBeGreaterThan(await lastEvent("berth_replaced"));
  } finally {
    await query("drop table if exists restore_probe");
    await query(`delete from sessions where id = '${warmSession}'`);
    await query("drop database if exists berth_replaced");
  }
  // The Service may need a moment until it sends requests to the new pods.
  await until("the API is ready", 60, async () => (await fetch(`http://127.0.0.1:${apiNodePort}/health/ready`)).ok);
});
