import { sql } from "kysely";
import { expect, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { recordsOn } from "../store/records.ts";
import { cipher, freshDatabase, sessionOf, silent } from "../testing/fixtures.ts";
import { cleanUp } from "./cleanUp.ts";

const week = { logRetentionSeconds: 604_800 };

const events: SessionEvent[] = [
  { type: "admitted" },
  { type: "ready", podIp: "10.0.0.1" },
  { type: "stop", cause: "user", reason: "Stopped by the user" },
  { type: "gone", keepSeconds: 3600 },
];

async function open() {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const ended = async () => {
    const request = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
    let session = sessionOf(await store.creation.create(request, { name: "test" }));
    for (const event of events) {
      const next = await store.commands.apply(session, event, { name: "test" });
      if (typeof next === "object") session = next;
    }
    return session.id;
  };
  const expire = (id: string) => sql`update sessions set workspace_until = now() where id = ${id}`.execute(database);
  return { database, store, ended, expire };
}

test("workspaces past their retention are handed to the worker once; the others stay", async () => {
  const { database, store, ended, expire } = await open();
  const [over, kept] = [await ended(), await ended()];
  await expire(over);
  const added: string[] = [];
  const queue = { add: async (id: string) => void added.push(id) };
  expect(await cleanUp(database, queue, silent, week)).toBe(1);
  expect(await cleanUp(database, queue, silent, week)).toBe(0);
  expect(added).toEqual([over]);
  expect((await store.queries.find(over))?.workspaceUntil).toBeNull();
  expect((await store.queries.find(kept))?.workspaceUntil).toBeInstanceOf(Date);
  const trail = await store.trail.ofTenant({ tenant: "acme", sessionId: over }, "0", 100);
  expect(trail.at(-1)).toMatchObject({ type: "expired", state: "stopped", actor: "cleanup" });
});

test("a session's log is deleted at the end of its retention", async () => {
  const { database, ended } = await open();
  const [over, kept] = [await ended(), await ended()];
  for (const id of [over, kept]) await new KeptLogs(database).keep(id, "2026-11-28T00:00:00Z Hello\n");
  await sql`update session_logs set kept_at = now() - interval '7 days' where session_id = ${over}`.execute(database);
  await cleanUp(database, { add: async () => {} }, silent, week);
  expect(await new KeptLogs(database).of(over)).toBeUndefined();
  expect(await new KeptLogs(database).of(kept)).toBe("2026-11-28T00:00:00Z Hello\n");
});

test("the retention ends also without Redis", async () => {
  const { database, store, ended, expire } = await open();
  const id = await ended();
  await expire(id);
  const queue = { add: () => Promise.reject(new Error("redis is away")) };
  expect(await cleanUp(database, queue, silent, week)).toBe(1);
  expect((await store.queries.find(id))?.workspaceUntil).toBeNull();
});
