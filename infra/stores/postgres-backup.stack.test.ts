/** Dumps of the deployed stack `dev`: made, checked, found to be damaged, restored. */
import { randomBytes } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/index.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { machine, root } from "../../machine/machine.ts";

const { apiNodePort } = machine;

const inBerth = (args: string[], input?: string) => kubectl(["--namespace=berth", ...args], input);
const jobs: string[] = [];

afterAll(async () => {
  if (jobs.length > 0) await inBerth(["delete", "job", "--ignore-not-found", ...jobs]);
}, 60_000);

interface JobContainer {
  command: string[];
  env: { name: string; value: string }[];
}

/** Starts a Job of a CronJob, as an operator would by hand. @param change what its container has otherwise */
async function start(cronJob: string, change: (container: JobContainer) => void = () => {}): Promise<string> {
  const name = `test-${randomBytes(4).toString("hex")}`;
  const create = ["create", "job", name, `--from=cronjob/${cronJob}`, "--dry-run=client", "--output=json"];
  const job = JSON.parse(await inBerth(create));
  delete job.metadata.ownerReferences; // the CronJob keeps one failed Job of its own and removes the others
  job.spec.backoffLimit = 0;
  change(job.spec.template.spec.containers[0]);
  jobs.push(name);
  await inBerth(["create", "--filename=-"], JSON.stringify(job));
  return name;
}

/** Waits for the Job's end. */
async function endOf(name: string): Promise<{ succeeded: boolean; log: string }> {
  const conditions = async (): Promise<string[]> =>
    (JSON.parse(await inBerth(["get", "job", name, "--output=json"])).status.conditions ?? []).map(
      ({ type }: { type: string }) => type,
    );
  const isEnd = (type: string) => type === "Complete" || type === "Failed";
  const types = await until(`job ${name} has ended`, 150, conditions, (types) => types.some(isEnd));
  return { succeeded: types.includes("Complete"), log: await inBerth(["logs", `job/${name}`]) };
}

const run = async (cronJob: string) => endOf(await start(cronJob));

/** A query as the superuser, by the socket inside the pod. */
const query = (text: string, database = "berth") =>
  inBerth(["exec", "postgres-0", "--container=postgres", "--", "psql", "-U", "berth", "-d", database, "-Atqc", text]);

/** A figure of the worker's /metrics. */
async function metric(name: string): Promise<number> {
  const ask = `fetch("http://127.0.0.1:3000/metrics").then((r) => r.text()).then(console.log)`;
  const text = await inBerth(["exec", "deploy/worker", "--", "/nodejs/bin/node", "--eval", ask]);
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

test("a dump is made and found to be whole, and Prometheus is told when", async () => {
  const started = Date.now() / 1000 - 1;
  expect(await run("postgres-dump")).toMatchObject({
    succeeded: true,
    log: expect.stringContaining("public.sessions|"),
  });
  expect(await run("postgres-restore-check")).toMatchObject({
    succeeded: true,
    log: expect.stringContaining("the same as when it was dumped"),
  });
  expect(await metric("berth_backup_last_success_timestamp_seconds")).toBeGreaterThan(started);
  expect(await metric("berth_restore_check_last_success_timestamp_seconds")).toBeGreaterThan(started);
});

const sums = "sha256sum database.dump manifest >SHA256SUMS";

/** What is done to a copy of the newest dump, and what the check then says. */
const damages = [
  [
    "is damaged on its volume",
    "printf '\\377%.0s' {1..16} | dd of=database.dump bs=1 seek=3000 conv=notrunc status=none",
    /database\.dump: FAILED/,
  ],
  [
    "can't be restored, though it is as it was written",
    `truncate --size=-2000 database.dump; ${sums}`,
    /pg_restore: error/,
  ],
  ["lacks a row", `sed --in-place 's/sessions|/&1/' manifest; ${sums}`, /^< .*sessions\|1/m],
] as const;

test("the check fails where the newest dump is damaged, can't be restored or lacks a row", async () => {
  const before = await query("select last_success from backup.status where job = 'restore-check'");
  // A pod that may write to the dumps' volume makes the copies, each in a folder of its own beside an older one that is whole.
  const keeper = await start("postgres-dump", (container) => {
    container.command = ["bash", "-c", "trap exit TERM; sleep infinity & wait"];
  });
  await inBerth(["wait", "--for=jsonpath={.status.ready}=1", "--timeout=90s", `job/${keeper}`]);
  const shell = (command: string) =>
    inBerth(["exec", `job/${keeper}`, "--", "bash", "-euo", "pipefail", "-c", command]);
  const folders = damages.map((_, index) => `/backups/${keeper}-${index}`);
  try {
    const checks = damages.map(async ([, damage], index) => {
      const copy = `mkdir ${folders[index]}; cp -r "$(ls -d "$BACKUPS"/[0-9]*Z | tail -n 1)" ${folders[index]}/20200101T000000Z`;
      await shell(
        `${copy}; cd ${folders[index]}; cp -r 20200101T000000Z 20990101T000000Z; cd 20990101T000000Z; ${damage}`,
      );
      const check = await start("postgres-restore-check", ({ env }) => {
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

/** As an operator restores. */
const restore = (dump: string) =>
  execa("npm", ["run", "--silent", "restore", "--", dump], {
    cwd: root,
    env: stackEnvironment(),
    reject: false,
    all: true,
  });

test("a restore of a dump that does not exist ends before anything stops", async () => {
  const replicas = () =>
    inBerth(["get", "deployment", "api", "-o", "jsonpath={.status.readyReplicas} {.metadata.generation}"]);
  const before = await replicas();
  expect(await restore("20200101T000000Z")).toMatchObject({
    exitCode: 1,
    all: expect.stringContaining("There is no dump '20200101T000000Z'"),
  });
  expect(await replicas()).toBe(before);
});

test("the database is put back by one command, twice if need be, and the API serves again", async () => {
  await query("create table if not exists restore_probe (id int)");
  const spare = `00000000-0000-4000-8000-${randomBytes(6).toString("hex")}`;
  await query(`insert into sessions (id, tenant, namespace, tier, state, warm)
    values ('${spare}', 'acme', 'tenant-acme', 'small', 'stopped', 'made-ahead')`);
  const lastEvent = async (database: string) =>
    Number(await query(`select last_value from session_events_id_seq`, database));
  try {
    const { log } = await run("postgres-dump");
    const [dump] = /\d{8}T\d{6}Z/.exec(log) ?? [];
    await query("drop table restore_probe");
    const first = await restore(`${dump}`);
    expect(first.exitCode, first.all).toBe(0);
    expect(await query("select count(*) from restore_probe")).toBe("0");
    // Whoever it may have been given to since the dump keeps it to themselves.
    expect(await query(`select warm from sessions where id = '${spare}'`)).toBe("restored");
    expect(await lastEvent("berth")).toBeGreaterThan(await lastEvent("berth_replaced"));
    // The same dump again: no number of an event comes twice.
    const second = await restore(`${dump}`);
    expect(second.exitCode, second.all).toBe(0);
    expect(await lastEvent("berth")).toBeGreaterThan(await lastEvent("berth_replaced"));
  } finally {
    await query("drop table if exists restore_probe");
    await query(`delete from sessions where id = '${spare}'`);
    await query("drop database if exists berth_replaced");
  }
  // The Service may take a moment to know its pods.
  await until("the API is ready", 60, async () => (await fetch(`http://127.0.0.1:${apiNodePort}/health/ready`)).ok);
}, 300_000);
