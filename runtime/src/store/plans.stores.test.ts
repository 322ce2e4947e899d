/** How Postgres executes the frequent statements when the tables have many old rows: no large table is read completely. */
import { randomUUID } from "node:crypto";
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { cipher, freshDatabase, ownStores, sessionOf, tokenKeys } from "../testing/fixtures.ts";
import { addOldRows } from "../testing/oldRows.ts";
import { basisOf, loadsOf, queuedSessions } from "./admissionQueue.ts";
import { DeliveryStore } from "./deliveryStore.ts";
import { newestOf } from "./generations.ts";
import { History } from "./history.ts";
import { countOfOthers, unfinishedOf } from "./ofTenants.ts";
import { recordsOn } from "./records.ts";
import { expireWorkspaces, wipeTasksOfEnded } from "./retention.ts";
import type { Schema } from "./schema.ts";
import { sweptRows } from "./sweptRows.ts";
import { bindTasks } from "./taskBinding.ts";
import { claimWarm } from "./warmClaim.ts";
import { awaitingRoom, failedLately, warmSessionsOf } from "./warmSessions.ts";

const user = { name: "key:default" };
const small = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
const claim = {
  ...small,
  idempotency: { key: "newer", request: {} },
  task: null,
  requestHash: "hash",
  newest: newestOf({ generation: 0 }),
  keys: tokenKeys,
};

/** How many ended sessions the database has. OLD_ROWS=2000000 tests the size of a large stack. */
const ended = Number(process.env.OLD_ROWS ?? 15_000);

/** The most milliseconds of a statement in Postgres. Checked only for a large stack, because that run has the machine to itself. */
const limitMs = ended >= 2_000_000 ? 10 : Number.POSITIVE_INFINITY;

/** These calls may take longer, because one statement of them changes up to a thousand rows. None of these calls is frequent. */
const batches = [
  "send dead deliveries again",
  "count usage",
  "delete old sessions",
  "delete old events",
  "delete old deliveries",
  "forget keys",
];

const largeTables = ["sessions", "session_events", "webhook_deliveries", "session_logs", "grants"];

interface Node {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Actual Rows": number;
  "Actual Loops": number;
  "Rows Removed by Filter"?: number;
  Plans?: Node[];
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** The faults of a plan: the steps that read a large part of a table, and so take longer the more history there is. */
function faultsOf(node: Node): string[] {
  return nodesOf(node).flatMap((one) => {
    const table = one["Relation Name"];
    if (one["Node Type"] === "Seq Scan" && largeTables.includes(table ?? "")) {
      return [`reads all of ${table}`];
    }
    const read = (one["Actual Rows"] + (one["Rows Removed by Filter"] ?? 0)) * one["Actual Loops"];
    return table !== undefined && read > ended / 3 ? [`reads ${read} rows of ${table} by ${one["Index Name"]}`] : [];
  });
}

async function open(ended: number) {
  const { name, database } = await freshDatabase();
  await addOldRows(database, { ended, isCounted: true });
  const { postgres } = ownStores();
  const statements: { sql: string; parameters: readonly unknown[] }[] = [];
  const observed = new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: new pg.Pool({ ...postgres, database: name, max: 2 }) }),
    log: ({ query }) => void statements.push(query),
  });
  const client = new pg.Client({ ...postgres, database: name });
  await client.connect();
  onTestFinished(async () => {
    await client.end();
    await observed.destroy();
  });
  const explain = async (text: string, parameters: readonly unknown[] = []): Promise<Node & { ms: number }> => {
    await client.query("begin");
    try {
      const { rows } = await client.query(`explain (analyze, timing off, format json) ${text}`, [...parameters]);
      const [{ Plan: plan, "Execution Time": ms }] = rows[0]["QUERY PLAN"];
      return { ...plan, ms };
    } finally {
      await client.query("rollback");
    }
  };
  /** The plan of a statement for these parameters. The statement is executed and rolled back. */
  const planOf = ({ sql: text, parameters }: (typeof statements)[number]) => explain(text, parameters);
  /** The plan that Postgres keeps for all parameters. */
  const keptPlanOf = async ({ sql: text, parameters }: (typeof statements)[number]) => {
    const literals = parameters.map((value) => (value === null ? "null" : client.escapeLiteral(String(value))));
    await client.query("set plan_cache_mode = force_generic_plan");
    await client.query(`prepare kept as ${text}`);
    return explain(`execute kept(${literals.join()})`);
  };
  return { database, observed, statements, planOf, keptPlanOf };
}

test(
  "no frequent statement reads a large table completely, or much of the history",
  async () => {
    const { database, observed, statements, planOf } = await open(ended);
    const store = recordsOn(observed, cipher, { generation: 0 });
    const history = new History(observed);
    const deliveries = new DeliveryStore(observed);
    const webhooks = { get: () => undefined, generation: 0 };
    const session = sessionOf(await store.creation.create(small, user));
    const other = sessionOf(await store.creation.create(small, user));
    const { id } = await database
      .selectFrom("sessions")
      .select("id")
      .where("state", "=", "failed")
      .orderBy("created_at")
      .limit(1)
      .executeTakeFirstOrThrow();
    const rights = { sessionId: session.id, kind: "desktop", access: "view", path: null } as const;
    const grant = { ...rights, id: randomUUID(), madeBy: user, expiresAt: new Date(Date.now() + 60_000) };
    await store.grants.add(grant);
    const limit = 20;
    const thousand = Array.from({ length: 1_000 }, () => randomUUID());
    const hundred = thousand.slice(0, 100);
    const list = (query: object) => store.queries.list("acme", { limit, ...query });
    const calls: Record<string, () => Promise<unknown>> = {
      "create a session": () =>
        store.creation.create({ ...small, backlogLimit: 1_000, idempotency: { key: "new", request: {} } }, user),
      "create a session again": () =>
        store.creation.create({ ...small, idempotency: { key: "key-1", request: {} } }, user),
      "claim a warm session": () => claimWarm(observed, { ...claim, templateHash: "t" }, user),
      "bind the tasks of claims": () =>
        bindTasks(observed, cipher, [{ session, taskId: randomUUID(), task: { command: [], env: {}, secrets: {} } }]),
      "say what a session waits for": () =>
        store.commands.apply(session, { type: "setReason", reason: "no room" }, user),
      "change a session": () => store.commands.apply(other, { type: "admitted" }, user),
      "note a use": () => store.commands.noteUse(session.id, "acme", "log", "reads the log", user, ["queued"]),
      "take reports": () => store.reports.take([{ id: session.id, isActive: true, runsCommand: false }], []),
      "find a session": () => store.queries.findTimed(id),
      "list sessions": () => list({}),
      "list sessions, a late page": () => list({ cursor: id }),
      "list failed sessions": () => list({ states: ["failed"] }),
      "list failed and running sessions, a late page": () => list({ states: ["failed", "running"], cursor: id }),
      "list sessions by a label that few have": () => list({ labels: { run: "78" } }),
      "list sessions by a label that all have": () => list({ labels: { team: "blue" } }),
      "list sessions by a label and state": () => list({ labels: { team: "blue", run: "100" }, states: ["failed"] }),
      "list sessions by a label that nobody has": () => list({ labels: { team: "none" } }),
      "count sessions": () => store.counts.byTenantAndState(),
      "count a tenant's sessions": () => store.counts.byTenantAndState("acme"),
      "count stuck sessions": () => store.counts.stuck(300),
      "count by token key": () => store.counts.byTokenKey(),
      "count sessions without tenant": () => countOfOthers(observed, ["acme"]),
      "find the horizon": () => store.trail.newestId(),
      "read a tenant's first events": () => store.trail.ofTenant({ tenant: "other-1" }, "0", 500),
      "read a session's events": () => store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 500, "999999999"),
      "read new events": async () =>
        store.trail.ofAll(`${BigInt(await store.trail.newestId()) - 2n}`, 500, "999999999"),
      "read usage": () => store.usage.ofTenant("acme", "2000-01-01", "2100-01-01"),
      "fan out": () => deliveries.fanOut(webhooks),
      "take deliveries": () => deliveries.take([{ tenant: "acme", url: "https://hooks.example/acme", room: 100 }], 4),
      "store what attempts led to": () =>
        deliveries.settle([
          ...hundred.map((id) => ({ id, attempts: 1 })),
          ...hundred.map((id) => ({ id, attempts: 1, failure: { error: "answered 500", next: 5 } })),
        ]),
      "put deliveries off": () => deliveries.putOff([{ tenant: "acme", url: "https://hooks.example/acme" }], "late"),
      "list a tenant's deliveries": () => deliveries.list({ tenant: "acme" }, limit, undefined),
      "list a tenant's dead deliveries": () => deliveries.list({ tenant: "acme", state: "dead" }, limit, undefined),
      "list a tenant's pending deliveries": () =>
        deliveries.list({ tenant: "acme", state: "pending" }, limit, undefined),
      "list all deliveries": () => deliveries.list({}, limit, undefined),
      "send dead deliveries again": () => deliveries.redeliverDead("acme", 1_000),
      "read the queue": () => queuedSessions(observed),
      "read the loads": () => loadsOf(observed, () => undefined),
      "read the basis of a planning": () => basisOf(observed),
      "admit sessions": async () =>
        store.queueCommands.admit([{ id: session.id, version: 1, turn: 1 }], (await basisOf(observed)).admissions),
      "say what a thousand sessions wait for": () =>
        store.queueCommands.wait(thousand.map((id) => ({ id, version: 1, reason: "no room", awaitsRoom: true }))),
      "reject sessions": () => store.queueCommands.reject([{ id: session.id, version: 1, reason: "too large" }]),
      "find positions in the queue": () => store.queries.queuePositions("acme", [session.id]),
      "read what the sweep compares": () => sweptRows(observed, [id], ["beta"]),
      "read the unfinished sessions": () => unfinishedOf(observed, ["acme"]),
      "read the warm sessions": () =>
        Promise.all([warmSessionsOf(observed), failedLately(observed), awaitingRoom(observed)]),
      "count usage": () => store.usage.countEnded(),
      "delete old sessions": () => history.expireSessions(86_400),
      "delete old events": () => history.expireEvents(86_400),
      "delete old deliveries": () => history.expireDeliveries(86_400),
      "forget keys": () => history.forgetKeys(86_400),
      "expire workspaces": () => expireWorkspaces(observed, user, 200),
      "wipe tasks": () => wipeTasksOfEnded(observed, 200),
      "make a ticket": async () => {
        const id = randomUUID();
        await store.grants.add({ ...grant, id });
        await database.deleteFrom("grants").where("id", "=", id).execute(); // so that the statement can be repeated
      },
      "check a ticket": () => store.grants.isGood(grant.id),
      "look for revoked tickets": () => store.grants.revokedOf([grant.id]),
      "list tickets": () => store.grants.list(session.id, "desktop"),
      "revoke a ticket": () =>
        store.grants.revoke(grant.id, "desktop", { sessionId: session.id, tenant: "acme" }, user),
      "delete old tickets": () => store.grants.expire(200),
      "store a log": () => store.logs.keep(session.id, "log"),
      "read a log": () => store.logs.of(id),
      "delete old logs": () => store.logs.expire(86_400, 200),
      "store progress": () => store.reports.noteProgress(other.id, "half way", 50, user),
    };
    const bad = await planOf({ sql: "select count(*) from sessions where reason = 'x'", parameters: [] });
    expect(faultsOf(bad)).toEqual(["reads all of sessions"]);
    const faults: Record<string, string[]> = {};
    const slowest: { what: string; ms: number; statement: string }[] = [];
    for (const [what, call] of Object.entries(calls)) {
      statements.length = 0;
      await call();
      const executed = [...statements];
      expect(executed.length, what).toBeGreaterThan(0);
      for (const statement of executed) {
        const plan = await planOf(statement);
        const { ms } = await planOf(statement); // the first execution has read the pages from the disk
        slowest.push({ what, ms: Math.min(plan.ms, ms), statement: statement.sql.trim().slice(0, 60) });
        const found = faultsOf(plan);
        if (found.length > 0) faults[what] = [...(faults[what] ?? []), ...found];
      }
    }
    console.table(slowest.toSorted((a, b) => b.ms - a.ms).slice(0, 15));
    expect(faults).toEqual({});
    expect(slowest.filter(({ what, ms }) => ms > limitMs && !batches.includes(what))).toEqual([]);
  },
  600_000 + 2 * ended,
);

test(
  "a claim reads one warm session by an index, however many the tenant has, and however the plan was made",
  async () => {
    const { database, observed, statements, planOf, keptPlanOf } = await open(15_000);
    // 3,000 warm sessions in three pools; the pool of the claim is not the oldest.
    await sql`
      insert into sessions (id, tenant, namespace, tier, state, warm, created_at, last_active_at)
      select gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'running', (array['other', 't', 'third'])[1 + n / 1000],
        now() - interval '1 day' + n * interval '1 second', now()
      from generate_series(0, 2999) as n`.execute(database);
    await sql`vacuum analyze sessions`.execute(database);
    expect(await claimWarm(observed, { ...claim, templateHash: "t" }, user)).toMatchObject({ warm: null });
    await database
      .updateTable("sessions")
      .set({ idempotency_key: null })
      .where("idempotency_key", "=", "newer")
      .execute();
    const [statement, ...more] = statements;
    expect(more).toEqual([]);
    if (statement === undefined) throw new Error("no statement");
    for (const plan of [await planOf(statement), await keptPlanOf(statement)]) {
      expect(faultsOf(plan)).toEqual([]);
      const nodes = nodesOf(plan);
      const claimable = nodes.filter((node) => node["Index Name"] === "sessions_to_claim");
      expect(claimable.map((node) => [node["Actual Rows"], node["Rows Removed by Filter"]])).toEqual([[1, 0]]);
      expect(nodes.map((node) => node["Node Type"])).not.toContain("Sort");
    }
  },
  600_000 + 2 * ended,
);

test("a connection that took deliveries from an empty table reads the full one at most once per statement", async () => {
  const { database } = await freshDatabase();
  await sql`vacuum analyze webhook_deliveries`.execute(database);
  await database.connection().execute(async (connection) => {
    const onEmpty = new DeliveryStore(connection);
    // A plan may be kept after the fifth execution.
    for (let count = 0; count < 8; count += 1) {
      await onEmpty.take([], 4);
      await onEmpty.settle([{ id: randomUUID(), attempts: 1 }]);
    }
    await sql`
      with session as (
        insert into sessions (id, tenant, namespace, tier, state)
        values (gen_random_uuid(), 'acme', 'tenant-acme', 'small', 'stopped') returning id
      ), event as (
        insert into session_events (session_id, tenant, type, state, version, actor)
        select id, 'acme', 'progress', 'starting', n, 'worker' from session, generate_series(1, 100) as n returning id)
      insert into webhook_deliveries (tenant, url, event_id)
      select 'acme', 'https://hooks.example/' || n, id from event, generate_series(1, 50) as n`.execute(connection);
    await connection.transaction().execute(async (transaction) => {
      const store = new DeliveryStore(transaction);
      const taken = await store.take([], 4);
      expect(taken).toHaveLength(200);
      await store.settle(taken.map(({ id, attempts }) => ({ id, attempts })));
      const { rows } = await sql<{ read: number }>`
        select seq_tup_read::integer as read from pg_stat_xact_user_tables
        where relname = 'webhook_deliveries'`.execute(transaction);
      expect(rows[0]?.read).toBeLessThanOrEqual(2 * 5_000);
    });
  });
});
