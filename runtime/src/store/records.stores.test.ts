import { sql } from "kysely";
import { expect, test } from "vitest";
import type { Session } from "../domain/session.ts";
import type { SessionEvent } from "../domain/states/state.ts";
import { cipher, freshDatabase, sessionOf } from "../testing/fixtures.ts";
import { pass } from "../testing/pass.ts";
import type { NewSession } from "./newSession.ts";
import { unfinishedOf } from "./ofTenants.ts";
import { progressSeconds } from "./podReports.ts";
import { recordsOn } from "./records.ts";
import { expireWorkspaces } from "./retention.ts";

const user = { name: "key:default", address: "192.0.2.1" };
const worker = { name: "worker" };
const small = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
const start: SessionEvent[] = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }];

async function openStore() {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  return {
    database,
    store,
    made: async (request: Partial<NewSession> = {}) =>
      sessionOf(await store.creation.create({ ...small, ...request }, user)),
    /** Returns the session after these events. */
    async after(id: string, ...events: SessionEvent[]): Promise<Session> {
      for (const event of events) {
        const seen = await store.queries.find(id);
        if (seen === undefined || typeof (await store.commands.apply(seen, event, worker)) !== "object")
          throw new Error(event.type);
      }
      const now = await store.queries.find(id);
      if (now === undefined) throw new Error("no such session");
      return now;
    },
  };
}

test("every change is in the audit trail: who, what, when and from where", async () => {
  const { database, store, made } = await openStore();
  const session = await made();
  await store.commands.apply(session, { type: "admitted" }, worker);
  await store.commands.stop(session.id, "acme", "Stopped by the user", user);
  const events = await database.selectFrom("session_events").selectAll().orderBy("id").execute();
  expect(
    events.map(({ type, state, reason, version, actor, address }) => [type, state, reason, version, actor, address]),
  ).toEqual([
    ["created", "queued", null, 1, "key:default", "192.0.2.1"],
    ["admitted", "starting", null, 2, "worker", null],
    ["stop", "stopping", "Stopped by the user", 3, "key:default", "192.0.2.1"],
  ]);
});

test("what a session waits for is shown with the session, is no event, and makes no other change fail", async () => {
  const { store, made } = await openStore();
  const [queued, starting] = [await made(), await made()];
  const admitted = await store.commands.apply(starting, { type: "admitted" }, worker);
  if (typeof admitted === "string") throw new Error(admitted);
  await store.queueCommands.wait([{ ...queued, reason: "no room", awaitsRoom: true }]);
  await store.commands.apply(admitted, { type: "setReason", reason: "no node", stalled: true }, worker);
  expect(await store.queries.find(queued.id)).toMatchObject({ reason: "no room", version: 1 });
  expect(await store.queries.find(starting.id)).toMatchObject({ reason: "no node", stalled: true, version: 2 });
  // These callers have not read the reasons.
  expect(await store.commands.apply(queued, { type: "admitted" }, worker)).toMatchObject({ reason: null, version: 2 });
  expect(await store.commands.apply(admitted, { type: "ready", podIp: "10.0.0.1" }, worker)).toMatchObject({
    state: "running",
    reason: null,
    stalled: false,
    version: 3,
  });
  // A reason that comes too late changes nothing.
  expect(await store.commands.apply(admitted, { type: "setReason", reason: "late" }, worker)).toBe("stale");
  await store.queueCommands.wait([{ ...queued, reason: "late", awaitsRoom: true }]);
  expect(await store.queries.find(queued.id)).toMatchObject({ reason: null });
  const events = await store.trail.ofTenant({ tenant: "acme" }, "0", 10);
  expect(events.map(({ type }) => type)).toEqual(["created", "created", "admitted", "admitted", "ready"]);
});

test("a session stores the generation of the newest tenants file that created or changed it", async () => {
  const { database, store } = await openStore();
  const of = (generation: number) => recordsOn(database, cipher, { generation });
  const made = sessionOf(await of(6).creation.create({ ...small, maxLifetimeSeconds: 60 }, user));
  expect(made.tenantsGeneration).toBe(6);
  const { commands } = of(1_790_000_000);
  const admitted = await commands.apply(made, { type: "admitted" }, worker);
  expect(admitted).toMatchObject({ state: "starting", tenantsGeneration: 1_790_000_000 });
  const extended = await of(5).commands.extend(made.id, "acme", 60, null, user);
  expect(extended?.session.tenantsGeneration).toBe(1_790_000_000);
  await of(1_790_000_001).commands.extend(made.id, "acme", 60, null, user);
  expect((await store.commands.stop(made.id, "acme", "Stopped", user))?.tenantsGeneration).toBe(1_790_000_001);
});

test("if two change the same version of a session, one succeeds and the other has to read it again", async () => {
  const { database, store, made } = await openStore();
  const seen = await made();
  const results = await Promise.all([
    store.commands.apply(seen, { type: "admitted" }, worker),
    store.commands.apply(seen, { type: "stop", cause: "user", reason: "Stopped by the user" }, user),
  ]);
  expect(results.filter((result) => result === "stale")).toHaveLength(1);
  const events = await database.selectFrom("session_events").selectAll().execute();
  expect(events).toHaveLength(2);
});

test("an event that has no meaning in the session's state changes nothing", async () => {
  const { store, made } = await openStore();
  const session = await made();
  expect(await store.commands.apply(session, { type: "gone", keepSeconds: 0 }, worker)).toBe("unchanged");
  expect((await store.queries.find(session.id))?.version).toBe(1);
});

test("a session keeps the values that it was created with, and its task only encrypted", async () => {
  const { database, store, made } = await openStore();
  const task = { command: ["python3", "run.py"], env: { MODE: "fast" }, secrets: { TOKEN: "hush-hush" } };
  const { id } = await made({
    labels: { team: "blue" },
    task,
    priority: 70,
    idleTimeoutSeconds: 600,
    maxLifetimeSeconds: 3600,
    workspaceMode: "ephemeral",
  });
  expect(await store.queries.find(id)).toMatchObject({
    labels: { team: "blue" },
    priority: 70,
    idleTimeoutSeconds: 600,
    maxLifetimeSeconds: 3600,
    workspaceMode: "ephemeral",
  });
  expect(await store.tasks.of(id)).toEqual(task);
  const { rows } = await sql<{ text: string }>`select s::text as text from sessions s`.execute(database);
  expect(rows[0]?.text).not.toMatch(/hush-hush|run\.py/);
  const bare = await made();
  expect(await store.tasks.of(bare.id)).toEqual({ command: null, env: {}, secrets: {} });
});

test("a task that was moved to another session's row is not returned", async () => {
  const { database, store, made } = await openStore();
  const one = await made({ task: { command: ["true"], env: {}, secrets: {} } });
  const two = await made();
  await sql`update sessions set task = (select task from sessions where id = ${one.id}) where id = ${two.id}`.execute(
    database,
  );
  await expect(store.tasks.of(two.id)).rejects.toThrow("another session");
});

test("an idempotency key creates one session per tenant, even if it is used many times at once", async () => {
  const { store } = await openStore();
  const idempotency = { key: "order-1", request: { tier: "small", labels: { a: "1", b: "2" } } };
  const request = { ...small, idempotency };
  const results = await Promise.all(Array.from({ length: 8 }, () => store.creation.create(request, user)));
  expect(new Set(results.map((result) => sessionOf(result).id)).size).toBe(1);
  expect(results.filter((result) => typeof result === "object" && !result.replayed)).toHaveLength(1);
  const again = (words: object) => ({ ...request, idempotency: { ...idempotency, request: words } });
  const same = again({ labels: { b: "2", a: "1" }, tier: "small" });
  expect(await store.creation.create(same, user)).toMatchObject({ replayed: true });
  // The tenant's config may have changed meanwhile.
  expect(await store.creation.create({ ...same, priority: 90, maxLifetimeSeconds: 60 }, user)).toMatchObject({
    replayed: true,
  });
  expect(await store.creation.create({ ...same, tenant: "beta" }, user)).toMatchObject({ replayed: false });
  for (const words of [{ tier: "large" }, { labels: {} }, { maxLifetimeSeconds: 60 }, { secrets: { A: "b" } }]) {
    expect(await store.creation.create(again({ ...idempotency.request, ...words }), user)).toBe("mismatch");
  }
});

test("with a full backlog a tenant can create no session, but still reads its existing ones", async () => {
  const { store } = await openStore();
  const request = { ...small, backlogLimit: 2 };
  const first = { ...request, idempotency: { key: "order-1", request: {} } };
  await store.creation.create(first, user);
  await store.creation.create(request, user);
  expect(await store.creation.create(request, user)).toBe("backlog");
  expect(await store.creation.create(first, user)).toMatchObject({ replayed: true });
  expect(await store.creation.create({ ...request, tenant: "beta" }, user)).toMatchObject({ replayed: false });
});

test("only the session's tenant finds the session", async () => {
  const { store, made } = await openStore();
  const session = await made();
  expect(await store.queries.find(session.id, "acme")).toEqual(session);
  expect(await store.queries.find(session.id, "beta")).toBeUndefined();
  expect(await store.commands.stop(session.id, "beta", "", user)).toBeUndefined();
  expect(await store.commands.suspend(session.id, "beta", user)).toBeUndefined();
  expect(await store.commands.resume(session.id, "beta", user)).toBeUndefined();
  expect(await store.commands.extend(session.id, "beta", 60, null, user)).toBeUndefined();
});

test("a list contains all sessions once, newest first, page by page", async () => {
  const { store, made } = await openStore();
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.unshift((await made()).id);
  await made({ tenant: "beta" });
  const pages: string[][] = [];
  let cursor: string | null | undefined;
  do {
    const page = await store.queries.list("acme", { limit: 2, cursor: cursor ?? undefined });
    pages.push(page?.items.map(({ id }) => id) ?? []);
    cursor = page?.nextCursor;
  } while (cursor != null);
  expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  expect(await store.queries.list("beta", { limit: 2, cursor: ids[0] })).toBeUndefined();
});

test("a list can be filtered by states, a tier and labels", async () => {
  const { store, made, after } = await openStore();
  const blue = await made({ labels: { team: "blue", job: "1" } });
  const red = await made({ labels: { team: "red" }, tier: "large" });
  await after(red.id, { type: "admitted" });
  const ids = async (query: object) =>
    (await store.queries.list("acme", { limit: 10, ...query }))?.items.map(({ id }) => id) ?? [];
  expect(await ids({ labels: { team: "blue" } })).toEqual([blue.id]);
  expect(await ids({ labels: { team: "blue", job: "2" } })).toEqual([]);
  expect(await ids({ tier: "large" })).toEqual([red.id]);
  expect(await ids({ states: ["queued", "running"] })).toEqual([blue.id]);
});

test("a stop is recorded once; a repeated call returns the progress", async () => {
  const { store, made } = await openStore();
  const session = await made();
  const [first, second] = await Promise.all([
    store.commands.stop(session.id, "acme", "Stopped by the user", user),
    store.commands.stop(session.id, "acme", "Stopped by the user", user),
  ]);
  expect(first).toMatchObject({ state: "stopping", cause: "user" });
  expect(second).toEqual(first);
});

test("only a running session can be suspended and only a suspended one resumed; a repeated call is no error", async () => {
  const { store, made, after } = await openStore();
  const { id } = await made();
  expect((await store.commands.suspend(id, "acme", user))?.refusal).toContain("The session is queued");
  await after(id, ...start);
  for (let twice = 0; twice < 2; twice += 1) {
    expect(await store.commands.suspend(id, "acme", user)).toMatchObject({
      refusal: null,
      session: { state: "suspending" },
    });
  }
  await after(id, { type: "vacated" });
  for (let twice = 0; twice < 2; twice += 1) {
    expect(await store.commands.resume(id, "acme", user)).toMatchObject({
      refusal: null,
      session: { state: "queued" },
    });
  }
  await store.commands.stop(id, "acme", "Stopped by the user", user);
  expect((await store.commands.resume(id, "acme", user))?.refusal).toContain("The session is stopping");
});

test("a session without a persistent workspace can't be suspended", async () => {
  const { store, made, after } = await openStore();
  const { id } = await made({ workspaceMode: "ephemeral" });
  await after(id, ...start);
  expect((await store.commands.suspend(id, "acme", user))?.refusal).toContain("ephemeral");
});

test("a running session is idle after its time-out, unless there is activity", async () => {
  const { database, store, made, after } = await openStore();
  const { id } = await made({ idleTimeoutSeconds: 60 });
  await pass(database, 100);
  expect((await store.queries.findTimed(id))?.isIdle).toBe(false); // it waits in the queue, so it is not idle
  await after(id, ...start);
  await pass(database, 40);
  expect((await store.queries.findTimed(id))?.isIdle).toBe(false);
  await pass(database, 20);
  expect((await store.queries.findTimed(id))?.isIdle).toBe(true);
  await store.commands.touch(id);
  expect((await store.queries.findTimed(id))?.isIdle).toBe(false);
});

test("a lifetime counts the running time over all runs; an extension stays below the limit", async () => {
  const { database, store, made, after } = await openStore();
  const { id } = await made({ maxLifetimeSeconds: 10_000 });
  await after(id, ...start);
  await pass(database, 6_000);
  await after(id, { type: "suspend", reason: "" }, { type: "vacated" });
  await pass(database, 100_000);
  await after(id, { type: "resume", reason: "" }, ...start);
  await pass(database, 2_000);
  expect((await store.queries.findTimed(id))?.isOverLifetime).toBe(false);
  await pass(database, 2_000);
  expect((await store.queries.findTimed(id))?.isOverLifetime).toBe(true);
  expect((await store.commands.extend(id, "acme", 1_000, 10_500, user))?.session.maxLifetimeSeconds).toBe(10_500);
  expect((await store.queries.findTimed(id))?.isOverLifetime).toBe(false);
  expect((await store.commands.extend(id, "acme", 1_000, 10_500, user))?.session.maxLifetimeSeconds).toBe(10_500);
  await store.commands.stop(id, "acme", "", user);
  expect((await store.commands.extend(id, "acme", 10, null, user))?.refusal).toContain("The session is stopping");
});

test("a workspace is retained for its time after the end, and expires once", async () => {
  const { database, store, made, after } = await openStore();
  const { id } = await made();
  const ended = await after(
    id,
    ...start,
    { type: "stop", cause: "user", reason: "" },
    { type: "gone", keepSeconds: 60 },
  );
  expect(ended).toMatchObject({ state: "stopped", workspaceUntil: expect.any(Date), endedAt: expect.any(Date) });
  const expire = () => expireWorkspaces(database, worker, 10);
  expect(await expire()).toEqual([]);
  await pass(database, 61);
  const results = await Promise.all([expire(), expire()]);
  expect(results.flat()).toEqual([id]);
  expect(await store.queries.find(id)).toMatchObject({ workspaceUntil: null, endedAt: ended.endedAt });
});

test("a tenant reads only its own events, or those of one session on request", async () => {
  const { store, made } = await openStore();
  const [one, two] = [await made(), await made()];
  await made({ tenant: "beta" });
  await store.reports.noteProgress(one.id, "half way", 50, { name: "agent" });
  expect((await store.trail.ofTenant({ tenant: "acme" }, "0", 10)).map(({ sessionId }) => sessionId)).toEqual([
    one.id,
    two.id,
  ]);
  const [created] = await store.trail.ofTenant({ tenant: "acme", sessionId: two.id }, "0", 10);
  expect(created).toMatchObject({ sessionId: two.id, type: "created", state: "queued", actor: "key:default" });
  expect(await store.trail.ofTenant({ tenant: "beta", sessionId: two.id }, "0", 10)).toEqual([]);
});

test("an agent's progress is shown while the session is up, and in the audit trail", async () => {
  const { store, made, after } = await openStore();
  const { id } = await made();
  const running = await after(id, ...start);
  await store.reports.noteProgress(id, "half way", 50, { name: "agent" });
  expect(await store.queries.find(id)).toMatchObject({
    progress: { message: "half way", percent: 50 },
    version: running.version,
  });
  const events = await store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 10);
  expect(events.at(-1)).toMatchObject({
    type: "progress",
    reason: "half way (50 %)",
    state: "running",
    actor: "agent",
  });
});

test("of many reports of progress, few are in the audit trail, whichever processes get them; the newest is shown", async () => {
  const { database, store, made, after } = await openStore();
  const { id } = await made();
  await after(id, ...start);
  const processes = Array.from({ length: 10 }, () => recordsOn(database, cipher, { generation: 0 }));
  const report = (round: number) =>
    Promise.all(processes.map(({ reports }) => reports.noteProgress(id, `round ${round}`, null, { name: "agent" })));
  const logged = async () =>
    (await store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 50))
      .filter(({ type }) => type === "progress")
      .map(({ reason }) => reason);
  await report(1);
  await report(2);
  expect(await logged()).toEqual(["round 1"]);
  expect(await store.queries.find(id)).toMatchObject({ progress: { message: "round 2" } });
  await pass(database, progressSeconds);
  await report(3);
  expect(await logged()).toEqual(["round 1", "round 3"]);
});

test("usage is the running time by day and tier, cut at midnight UTC", async () => {
  const { database, store, made, after } = await openStore();
  const { id } = await made();
  await after(id, ...start, { type: "suspend", reason: "" }, { type: "vacated" });
  const large = await made({ tier: "large" });
  await after(large.id, ...start);
  await made(); // never ran
  const at = (session: string, type: string, time: string) =>
    sql`update session_events set at = ${time}::timestamptz where session_id = ${session} and type = ${type}`.execute(
      database,
    );
  await sql`update sessions set created_at = '2026-03-01T00:00:00Z'`.execute(database);
  await at(id, "ready", "2026-03-01T23:00:00Z");
  await at(id, "suspend", "2026-03-02T02:00:00Z");
  await at(id, "vacated", "2026-03-02T03:00:00Z");
  await at(large.id, "ready", "2026-03-02T12:00:00Z");
  expect(await store.usage.ofTenant("acme", "2026-03-01", "2026-03-02")).toEqual([
    { day: "2026-03-01", tier: "small", seconds: 3600 },
    { day: "2026-03-02", tier: "large", seconds: 12 * 3600 },
    { day: "2026-03-02", tier: "small", seconds: 7200 },
  ]);
  expect(await store.usage.ofTenant("beta", "2026-03-01", "2026-03-02")).toEqual([]);
});

test("the unfinished sessions are those with work left to do", async () => {
  const { database, store, made, after } = await openStore();
  const [one, two] = [await made(), await made()];
  await store.commands.stop(one.id, "acme", "", user);
  expect(new Set(await unfinishedOf(database, ["acme"]))).toEqual(new Set([one.id, two.id]));
  await after(one.id, { type: "gone", keepSeconds: 0 });
  expect(await unfinishedOf(database, ["acme"])).toEqual([two.id]);
  await made({ warm: "a template" });
  const counts = await store.counts.byTenantAndState();
  expect(counts).toEqual([{ tenant: "acme", state: "queued", count: 1 }]);
  expect(await store.counts.byTenantAndState("beta")).toEqual([]);
});

test("the time in a state counts from the change of the state, not of its reason", async () => {
  const { store, made, after } = await openStore();
  const session = await made();
  const waiting = await after(session.id, { type: "setReason", reason: "no room" });
  expect(waiting).toMatchObject({ reason: "no room", stateSince: session.stateSince });
  expect(await after(session.id, { type: "admitted" })).not.toMatchObject({ stateSince: session.stateSince });
  expect((await store.queries.findTimed(session.id))?.secondsInState).toBeLessThan(60);
});
