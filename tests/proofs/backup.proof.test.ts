/**
 * The restore drill: dump the database, delete all its files, and restore the database with the documented command. After
 * the restore, Berth must continue the running sessions with the same pods.
 */

import { until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectlWait } from "../../local/cluster/testing.ts";
import { stackEnvironment } from "../../local/pulumi/stack.ts";
import { root } from "../../machine/machine.ts";
import { call, core, inAgent, keyOf, leftovers, reaches, type Session } from "../berth.ts";
import { allowRefusals } from "../refusals.ts";
import { inBerth, query, rolledOut } from "./platform.ts";
import { create, end, find } from "./sessions.ts";

const acme = keyOf("acme");
let runs: Session;
let sleeps: Session;
const job = `drill-${Date.now()}`;

const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  const start = async () => {
    const { id } = await create("acme");
    cleanUp.defer(() => end("acme", id));
    return reaches(acme, id, "running");
  };
  [runs, sleeps] = await Promise.all([start(), start()]);
  await inAgent("tenant-acme", sleeps.id, ["sh", "-c", "echo kept > /home/agent/workspace/proof"]);
  await call(acme, "POST", `/v1/sessions/${sleeps.id}/suspend`);
  await reaches(acme, sleeps.id, "suspended");
  cleanUp.defer(async () => void (await query("drop database if exists berth_replaced")));
  cleanUp.defer(async () => void (await inBerth(["delete", "job", "--ignore-not-found", job])));
});

afterAll(() => cleanUp.disposeAsync());

const podOf = async ({ id }: Session) =>
  (await core.readNamespacedPod({ name: `agent-${id}`, namespace: "tenant-acme" })).metadata?.uid;

test("after a dump, a wipe and a restore, running sessions keep their pods, suspended sessions resume with their workspace, and none is lost", async () => {
  await inBerth(["create", "job", job, "--from=cronjob/postgres-dump"]);
  await kubectlWait("condition=Complete", 120, "--namespace=berth", `job/${job}`);
  const [pod, count] = [await podOf(runs), await query("select count(*) from sessions")];
  const events = await query(`select count(*) from session_events where session_id = '${runs.id}'`);

  using _ = allowRefusals("the database is wiped and restored");
  // All files of the database are deleted, so the next Postgres pod creates a new and empty database.
  const wipe = 'find "$PGDATA" -mindepth 1 -delete';
  await inBerth(["exec", "postgres-0", "--container=postgres", "--", "bash", "-c", wipe]);
  await inBerth(["delete", "pod", "postgres-0", "--grace-period=1"]);
  await rolledOut("statefulset/postgres");
  expect(await query("select to_regclass('sessions') is null")).toBe("t");

  const began = performance.now();
  const restore = await execa("npm", ["run", "--silent", "restore"], {
    cwd: root,
    env: stackEnvironment(),
    reject: false,
    all: true,
  });
  expect(restore.exitCode, restore.all).toBe(0);
  console.log(`${restore.all}\n  back in ${Math.round((performance.now() - began) / 1_000)} s`);

  await until(
    "the API is ready",
    60,
    async () => (await call(acme, "GET", "/health/ready")).status,
    (status) => status === 200,
  );
  expect(await query("select count(*) from sessions")).toBe(count);
  expect(await find("acme", runs.id)).toMatchObject({ state: "running" });
  expect(await podOf(runs)).toBe(pod);
  expect(await query(`select count(*) from session_events where session_id = '${runs.id}'`)).toBe(events);
  expect(await leftovers("tenant-acme", runs.id)).toHaveLength(4);

  await call(acme, "POST", `/v1/sessions/${sleeps.id}/resume`);
  await reaches(acme, sleeps.id, "running");
  expect(await inAgent("tenant-acme", sleeps.id, ["cat", "/home/agent/workspace/proof"])).toBe("kept\n");
});
