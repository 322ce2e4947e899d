/**
 * The `pulumi up` of the previous version brings an upgraded stack back to that version. The sessions that the two versions
 * have created keep running, a writer writes all the time, and the previous version continues its work: it resumes and starts
 * sessions, and serves the queue.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { formerName } from "../../infra/kubernetes/former-names.ts";
import { call, inAgent, reaches } from "../berth.ts";
import { giveFormerNames, upOrThrow } from "../pulumi.ts";
import { tenantsAreKnown } from "./platform.ts";
import { create, end, find } from "./sessions.ts";
import { current, losses, stepMs, TwoVersions, warmSession, workspace } from "./two-versions.ts";

const minutes = 60_000;
const cleanUp = new AsyncDisposableStack();
let stack: TwoVersions;
/** What the previous version's `up` deletes, because only this version makes it. */
let unknown: string[];

/** The operation that deletes what the given operation creates. Before the way back, the resource gets its former name. */
function deletion(creation: string): string {
  const [, kind = "", name = ""] = creation.split(" ");
  return `delete ${kind} ${formerName(kind, name) ?? name}`;
}

beforeAll(async () => {
  stack = await TwoVersions.open(cleanUp);
  const { operations } = await upOrThrow(current);
  const made = operations.filter((operation) => operation.startsWith("create "));
  unknown = losses(made.map(deletion));
  await tenantsAreKnown();
  await warmSession(stack.warm);
  stack.younger.push(await create("acme"));
}, stepMs);

afterAll(() => cleanUp.disposeAsync(), 15 * minutes);

test("the `pulumi up` of the version before ends no session, neither of those of before nor one that began since", async () => {
  await giveFormerNames();
  expect((await stack.change("the way back", stack.before)).sort()).toEqual(unknown.sort());
  for (const { id } of stack.younger) expect(await find("acme", id)).toMatchObject({ state: "running" });
});

test("a session wakes with its workspace, a new one starts, and the queue goes on", async () => {
  const { acme, globex } = stack.keys;
  const { suspended } = stack.sessions;
  expect((await call(acme, "POST", `/v1/sessions/${suspended.id}/resume`)).status).toBe(202);
  await reaches(acme, suspended.id, "running", 180);
  expect(await inAgent("tenant-acme", suspended.id, ["cat", `${workspace}/proof`])).toBe("kept\n");
  const { id } = await create("acme");
  await reaches(acme, id, "running", 180);
  await end("globex", stack.sessions.busy.id);
  await reaches(globex, stack.sessions.queued.id, "running", 180);
});
