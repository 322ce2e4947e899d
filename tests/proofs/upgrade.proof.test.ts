/**
 * The previous version deploys a stack, with running, suspended, stopped and queued sessions, open desktops and old rows. Then
 * `pulumi up` upgrades the stack to this version. Nothing that holds data is replaced, no session of a user ends, and a writer
 * writes during the whole upgrade. Each desktop is back within 30 s.
 *
 * The upgrade keeps no warm session. A user gets a warm session only if its pod has the template of this version, and the
 * versions differ in the template, because they differ in the images. So after the upgrade the leader ends the warm session of
 * the version before and makes a new one, which the last test gets.
 */
import { globSync } from "node:fs";
import { basename } from "node:path";
import { until } from "@berth/testing/until.ts";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { root } from "../../machine/machine.ts";
import { call, desktopUrl, inAgent, keyOf, reaches, readOutputs } from "../berth.ts";
import { upOrThrow } from "../pulumi.ts";
import { colours, firstFrame, typeBlindly } from "../rfb.ts";
import { hadMigration } from "../version-before.ts";
import { fileInClaim } from "./claim.ts";
import { endedTenant, query, tenantsAreKnown } from "./platform.ts";
import { create, find } from "./sessions.ts";
import { current, ended, eventsOfEnded, losses, stepMs, TwoVersions, warmSession, workspace } from "./two-versions.ts";

const minutes = 60_000;
const cleanUp = new AsyncDisposableStack();
let stack: TwoVersions;
vi.setConfig({ testTimeout: stepMs });

beforeAll(async () => {
  stack = await TwoVersions.open(cleanUp);
}, stepMs);

afterAll(() => cleanUp.disposeAsync(), 15 * minutes);

test("the preview of this version replaces nothing that holds data or serves", async () => {
  const { operations } = await upOrThrow({ ...current, command: "preview" });
  console.log(operations.map((operation) => `  ${operation}`).join("\n"));
  expect(operations).not.toEqual([]);
  expect(losses(operations)).toEqual([]);
});

test("`pulumi up` ends no session, holds up no writer, and desktops are back within a few tries", async () => {
  expect(await stack.change("upgrade", current)).toEqual([]);
  await readOutputs();
  expect({ acme: keyOf("acme"), globex: keyOf("globex") }).toEqual(stack.keys);
  const migrations = globSync("runtime/src/store/migrations/0*.ts", { cwd: root }).map((file) => basename(file, ".ts"));
  expect((await query("select name from kysely_migration")).split("\n").sort()).toEqual(migrations.sort());
  // This migration deletes the tasks of ended sessions.
  const left = (await hadMigration("0008_tasks_of_ended")) ? ended : 0;
  const tasks = `select count(*), count(task) from sessions where tenant = '${endedTenant}'`;
  expect(await query(tasks)).toBe(`${ended}|${left}`);
  // The migration 0021_tenants_of_events gives each event its tenant.
  const events = `select count(*), count(event.tenant) from session_events as event
    join sessions on sessions.id = session_id where sessions.tenant = '${endedTenant}'`;
  expect(await query(events)).toBe(`${eventsOfEnded * ended}|${eventsOfEnded * ended}`);
});

test("a desktop of the version before can be used, and its agent reaches the API", async () => {
  const { id } = stack.sessions.running;
  const authorization = { authorization: `Bearer ${stack.keys.acme}` };
  expect(colours(await firstFrame(desktopUrl(id), authorization))).toBeGreaterThan(1);
  await typeBlindly(desktopUrl(id), `echo typed > ${workspace}/typed\n`, authorization);
  await until(
    "what was typed is in the workspace",
    60,
    () => inAgent("tenant-acme", id, ["sh", "-c", `cat ${workspace}/typed 2>/dev/null || true`]),
    (text) => text === "typed\n",
  );
  await inAgent("tenant-acme", id, ["berth-progress", "upgraded"]);
  expect(await find("acme", id)).toMatchObject({ progress: { message: "upgraded" } });
});

test("workspaces are as they were: of the session that wakes, and of the one that had ended", async () => {
  const { suspended, kept } = stack.sessions;
  const { acme } = stack.keys;
  expect(await fileInClaim("tenant-acme", `agent-${kept.id}`, "proof")).toBe("kept\n");
  expect((await call(acme, "POST", `/v1/sessions/${suspended.id}/resume`)).status).toBe(202);
  await reaches(acme, suspended.id, "running", 180);
  expect(await inAgent("tenant-acme", suspended.id, ["cat", `${workspace}/proof`])).toBe("kept\n");
  expect((await call(acme, "POST", `/v1/sessions/${suspended.id}/suspend`)).status).toBe(202);
  await reaches(acme, suspended.id, "suspended");
});

test("a new session starts: one that this version has made ahead, because it gives out none of the version before", async () => {
  await tenantsAreKnown();
  await warmSession(stack.warm);
  const { id, state } = await create("acme");
  expect(state).toBe("running");
  const authorization = { authorization: `Bearer ${stack.keys.acme}` };
  expect(colours(await firstFrame(desktopUrl(id), authorization))).toBeGreaterThan(1);
});
