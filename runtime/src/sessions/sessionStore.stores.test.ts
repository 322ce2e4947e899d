import { expect, test } from "vitest";
import { freshDatabase } from "../testing/fixtures.ts";
import type { Session } from "./session.ts";
import { SessionStore } from "./sessionStore.ts";

const user = { name: "key:default", address: "192.0.2.1" };
const worker = { name: "worker" };
const small = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;

async function openStore() {
  const { database } = await freshDatabase();
  return { database, store: new SessionStore(database) };
}

async function made(store: SessionStore): Promise<Session> {
  const result = await store.create(small, user);
  if (result === "mismatch") throw new Error("mismatch");
  return result.session;
}

test("every change is in the audit trail: who, what, when and from where", async () => {
  const { database, store } = await openStore();
  const session = await made(store);
  await store.apply(session, { type: "waiting", reason: "no room" }, worker);
  await store.stop(session.id, "acme", "Stopped by the user", user);
  const events = await database.selectFrom("session_events").selectAll().orderBy("id").execute();
  expect(
    events.map(({ type, state, reason, version, actor, address }) => [type, state, reason, version, actor, address]),
  ).toEqual([
    ["created", "queued", null, 1, "key:default", "192.0.2.1"],
    ["waiting", "queued", "no room", 2, "worker", null],
    ["stop", "stopping", "Stopped by the user", 3, "key:default", "192.0.2.1"],
  ]);
});

test("of two who change what both have seen, one succeeds and the other is told to look again", async () => {
  const { database, store } = await openStore();
  const seen = await made(store);
  const results = await Promise.all([
    store.apply(seen, { type: "started" }, worker),
    store.apply(seen, { type: "stop", reason: "Stopped by the user" }, user),
  ]);
  expect(results.filter((result) => result === "stale")).toHaveLength(1);
  const events = await database.selectFrom("session_events").selectAll().execute();
  expect(events).toHaveLength(2);
});

test("an event that means nothing in the session's state changes nothing", async () => {
  const { store } = await openStore();
  const session = await made(store);
  expect(await store.apply(session, { type: "gone" }, worker)).toBe("unchanged");
  expect((await store.find(session.id))?.version).toBe(1);
});

test("an idempotency key makes one session, also when used many times at once, and per tenant", async () => {
  const { store } = await openStore();
  const request = { ...small, idempotencyKey: "order-1" };
  const results = await Promise.all(Array.from({ length: 8 }, () => store.create(request, user)));
  const sessions = results.map((result) => (result === "mismatch" ? result : result.session.id));
  expect(new Set(sessions).size).toBe(1);
  expect(results.filter((result) => result !== "mismatch" && !result.replayed)).toHaveLength(1);
  expect(await store.create({ ...request, tier: "large" }, user)).toBe("mismatch");
  expect(await store.create({ ...request, tenant: "beta" }, user)).toMatchObject({ replayed: false });
});

test("a session is found by its tenant only", async () => {
  const { store } = await openStore();
  const session = await made(store);
  expect(await store.find(session.id, "acme")).toEqual(session);
  expect(await store.find(session.id, "beta")).toBeUndefined();
  expect(await store.stop(session.id, "beta", "", user)).toBeUndefined();
});

test("a list goes through all sessions once, newest first, page by page", async () => {
  const { store } = await openStore();
  const ids: string[] = [];
  for (let count = 0; count < 5; count += 1) ids.unshift((await made(store)).id);
  await store.create({ ...small, tenant: "beta" }, user);
  const pages: string[][] = [];
  let cursor: string | null | undefined;
  do {
    const page = await store.list("acme", 2, cursor ?? undefined);
    pages.push(page?.items.map(({ id }) => id) ?? []);
    cursor = page?.nextCursor;
  } while (cursor != null);
  expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  expect(await store.list("beta", 2, ids[0])).toBeUndefined();
});

test("stopping is asked for once; asking again shows how far it is", async () => {
  const { store } = await openStore();
  const session = await made(store);
  const [first, second] = await Promise.all([
    store.stop(session.id, "acme", "Stopped by the user", user),
    store.stop(session.id, "acme", "Stopped by the user", user),
  ]);
  expect(first?.state).toBe("stopping");
  expect(second).toEqual(first);
});

test("unfinished are those that something is left to do for", async () => {
  const { store } = await openStore();
  const [one, two] = [await made(store), await made(store)];
  const stopping = await store.stop(one.id, "acme", "", user);
  expect(new Set(await store.unfinished())).toEqual(new Set([one.id, two.id]));
  if (stopping !== undefined) await store.apply(stopping, { type: "gone" }, worker);
  expect(await store.unfinished()).toEqual([two.id]);
  expect(await store.countByState()).toEqual(
    new Map([
      ["queued", 1],
      ["stopped", 1],
    ]),
  );
});

test("how long a session is in its state counts from the change of state, not of its reason", async () => {
  const { store } = await openStore();
  const session = await made(store);
  const waiting = await store.apply(session, { type: "waiting", reason: "no room" }, worker);
  expect(waiting).toMatchObject({ reason: "no room", stateSince: session.stateSince });
  const started =
    waiting !== "stale" && waiting !== "unchanged"
      ? await store.apply(waiting, { type: "started" }, worker)
      : undefined;
  expect(started).not.toMatchObject({ stateSince: session.stateSince });
  expect((await store.look(session.id))?.secondsInState).toBeLessThan(60);
});
