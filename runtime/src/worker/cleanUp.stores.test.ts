import { sql } from "kysely";
import { expect, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import type { Database } from "../store/database.ts";
import { Grants } from "../store/grants.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { recordsOn } from "../store/records.ts";
import { expireWorkspaces, wipeTasksOfEnded } from "../store/retention.ts";
import { cipher, freshDatabase, sessionOf, silent } from "../testing/fixtures.ts";
import { cleanUp, cleanUpBatch } from "./cleanUp.ts";

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

/** Adds this many ended sessions, each with an expired workspace, a task, an old log and an old ticket. */
const addBacklog = (database: Database, count: number) =>
  sql`
    with ended as (
      insert into sessions (id, tenant, namespace, tier, state, task, workspace_until)
      select gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'stopped', 'a task', now() - interval '1 hour'
      from generate_series(1, ${count}) returning id
    ), logs as (
      insert into session_logs (session_id, kept_at, log) select id, now() - interval '8 days', '' from ended
    )
    insert into grants (id, session_id, kind, access, made_by, expires_at)
    select gen_random_uuid(), id, 'desktop', 'view', 'key:default', now() - interval '1 hour' from ended`.execute(
    database,
  );

/** How many sessions of the backlog each step still has to handle. */
async function backlog(database: Database) {
  const { rows } = await sql`
    select count(workspace_until)::int as workspaces, count(task)::int as tasks,
      (select count(*)::int from session_logs) as logs, (select count(*)::int from grants) as grants
    from sessions`.execute(database);
  return rows[0];
}

test("a backlog is removed completely, and one statement changes few rows", async () => {
  const { database } = await open();
  const count = 2 * cleanUpBatch + 1;
  await addBacklog(database, count);
  expect(await expireWorkspaces(database, { name: "cleanup" }, 3)).toHaveLength(3);
  expect(await wipeTasksOfEnded(database, 3)).toBe(3);
  expect(await new Grants(database).expire(3)).toBe(3);
  expect(await new KeptLogs(database).expire(week.logRetentionSeconds, 3)).toBe(3);
  const left = count - 3;
  expect(await backlog(database)).toEqual({ workspaces: left, tasks: left, logs: left, grants: left });
  const added = new Set<string>();
  expect(await cleanUp(database, { add: async (id) => void added.add(id) }, silent, week)).toBe(left);
  expect(added.size).toBe(left);
  expect(await backlog(database)).toEqual({ workspaces: 0, tasks: 0, logs: 0, grants: 0 });
});

test.each([
  ["workspaces", "sessions", "new.workspace_until is null and old.workspace_until is not null"],
  ["tasks", "sessions", "new.task is null and old.task is not null"],
  ["grants", "grants", ""],
  ["logs", "session_logs", ""],
])("a step that fails stops no other, and the clean-up fails: %s", async (step, table, condition) => {
  const { database } = await open();
  await addBacklog(database, 3);
  await sql`
    create function refuse() returns trigger language plpgsql as $$ begin raise 'refused'; end $$;
    create trigger refuse before ${sql.raw(condition === "" ? "delete" : "update")} on ${sql.table(table)}
      for each row ${sql.raw(condition && `when (${condition})`)} execute function refuse()`.execute(database);
  await expect(cleanUp(database, { add: async () => {} }, silent, week)).rejects.toMatchObject({
    errors: [expect.objectContaining({ message: "refused" })],
  });
  expect(await backlog(database)).toEqual({ workspaces: 0, tasks: 0, logs: 0, grants: 0, [step]: 3 });
});
