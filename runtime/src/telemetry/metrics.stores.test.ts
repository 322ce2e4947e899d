/** The metrics for Prometheus, with a real Postgres and Redis. */
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import { addJobMetrics } from "../queue/jobMetrics.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { countOfOthers } from "../store/ofTenants.ts";
import { recordsOn } from "../store/records.ts";
import { addSessionCountMetrics } from "../store/sessionCountMetrics.ts";
import { cipher, emptyRedis, freshDatabase, patienceMs, silent } from "../testing/fixtures.ts";
import { addWorkerMetrics, observeChange } from "../worker/workerMetrics.ts";
import { Metrics } from "./metrics.ts";

/** The names that the alerts, the dashboard and the autoscaler use. */
const names = [
  "http_requests_total",
  "http_request_duration_seconds",
  "bullmq_waiting_jobs",
  "bullmq_jobs",
  "berth_sessions",
  "berth_tenant_sessions",
  "berth_session_start_duration_seconds",
  "berth_session_stop_duration_seconds",
  "berth_sessions_stuck",
  "berth_orphans",
  "berth_reconciles_total",
  "berth_reconcile_duration_seconds",
  "berth_reconcile_age_seconds",
  "berth_watch_restarts_total",
  "berth_kubernetes_requests_total",
  "berth_quota_refusals_total",
  "berth_desktop_connections",
  "berth_oldest_waiting_job_age_seconds",
  "berth_webhook_deliveries_total",
  "berth_leader",
  "berth_sessions_without_tenant",
  "berth_images_missing",
  "berth_start_limit",
  "berth_tenant_start_limit",
];

async function open({ isLeader = true, secondsSincePlanning = 2 } = {}) {
  const { database } = await freshDatabase();
  const redis = await emptyRedis();
  const store = recordsOn(database, cipher, { generation: 0 });
  const queue = new SessionQueue(redis, silent, patienceMs);
  const metrics = new Metrics(patienceMs);
  addSessionCountMetrics(metrics, { counts: store.counts, isLeader: () => isLeader });
  addJobMetrics(metrics, queue);
  addWorkerMetrics(metrics, {
    isLeader: () => isLeader,
    orphans: () => (isLeader ? { pod: 1, claim: 2, row: 3 } : undefined),
    secondsSinceSweep: () => (isLeader ? 4 : undefined),
    secondsSincePlanning: () => (isLeader ? secondsSincePlanning : undefined),
    startLimit: () => ({ current: 10, slowed: new Map([["acme", 1]]) }),
    missingImages: async () => (isLeader ? [{ node: "a", image: "x@sha256:1", tenant: "acme" }] : undefined),
    withoutTenant: async () => (isLeader ? countOfOthers(database, ["acme"]) : undefined),
  });
  onTestFinished(() => queue.close());
  return {
    database,
    queue,
    redis,
    store,
    metrics,
    read: () => metrics.registry.metrics(),
    async session(tenant: string, ...events: SessionEvent[]) {
      const made = await store.creation.create(
        { tenant, namespace: `tenant-${tenant}`, tier: "small" },
        { name: "test" },
      );
      if (typeof made === "string") throw new Error(made);
      let { session } = made;
      for (const event of events) {
        const next = await store.commands.apply(session, event, { name: "test" });
        if (typeof next === "string") throw new Error(next);
        observeChange(metrics, session, next);
        session = next;
      }
      return session;
    },
  };
}

const running: SessionEvent[] = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }];
const over: SessionEvent[] = [
  { type: "stop", cause: "user", reason: "Stopped by the user" },
  { type: "gone", keepSeconds: 0 },
];

test("every metric that others use exists, and none contains a session's id", async () => {
  const { read, session } = await open();
  const { id } = await session("acme", ...running);
  const text = await read();
  for (const name of names) expect(text, name).toMatch(new RegExp(`^# TYPE ${name} (counter|gauge|histogram)$`, "m"));
  expect(text).not.toContain(id);
});

test("sessions by state and tenant, and their durations by the database's clock", async () => {
  const { database, read, session } = await open();
  await session("acme", ...running);
  await session("acme");
  await session("beta", ...running, ...over);
  await database.updateTable("sessions").set({ last_active_at: sql`now()` }).execute();
  const text = await read();
  expect(text).toContain('berth_sessions{state="running"} 1\n');
  expect(text).toContain('berth_sessions{state="suspended"} 0\n');
  expect(text).toContain('berth_tenant_sessions{tenant="acme",state="queued"} 1\n');
  expect(text).not.toContain('tenant="beta"'); // its session has ended
  expect(text).toContain('berth_session_start_duration_seconds_count{tier="small"} 2\n');
  expect(text).toContain("berth_session_stop_duration_seconds_count 1\n");
});

test("a session that is in a state for longer than allowed counts as stuck", async () => {
  const { database, read, session } = await open();
  const late = (id: string, seconds: number) =>
    database
      .updateTable("sessions")
      .set({ state_since: sql`now() - ${seconds} * interval '1 second'` })
      .where("id", "=", id)
      .execute();
  await late((await session("acme", { type: "admitted" })).id, 361);
  await late((await session("acme", { type: "admitted" }, { type: "setReason", reason: "", stalled: true })).id, 361);
  await late((await session("acme", { type: "admitted" })).id, 330);
  await late((await session("acme", ...running, ...over.slice(0, 1))).id, 121);
  await late((await session("acme")).id, 10_000);
  const idle = await session("acme", ...running);
  await database
    .updateTable("sessions")
    .set({ idle_timeout_seconds: 60, last_active_at: sql`now() - interval '121 seconds'` })
    .where("id", "=", idle.id)
    .execute();
  await late(idle.id, 500);
  const text = await read();
  expect(text).toContain('berth_sessions_stuck{state="starting"} 2\n');
  expect(text).toContain('berth_sessions_stuck{state="stopping"} 1\n');
  expect(text).toContain('berth_sessions_stuck{state="running"} 1\n');
  expect(text).toContain('berth_sessions_stuck{state="suspending"} 0\n');
});

test("the leader reports how many unfinished sessions belong to a tenant that the tenants file does not name", async () => {
  const { read, session } = await open();
  await session("acme", ...running);
  expect(await read()).toContain("berth_sessions_without_tenant 0\n");
  await session("beta", ...running);
  await session("beta", ...running, ...over);
  expect(await read()).toContain("berth_sessions_without_tenant 1\n");
});

test("jobs that wait, and for how long the oldest does", async () => {
  const { queue, redis, read } = await open();
  expect(await read()).toContain("berth_oldest_waiting_job_age_seconds 0\n");
  await queue.add("a");
  await queue.add("b");
  // The first job's timestamp is moved 100 s back.
  const first = await redis.lindex("bull:agent-sessions:wait", -1);
  await redis.hincrby(`bull:agent-sessions:${first}`, "timestamp", -100_000);
  const text = await read();
  expect(text).toContain('bullmq_waiting_jobs{queue="agent-sessions"} 2\n');
  expect(text).toContain('bullmq_jobs{queue="agent-sessions",state="waiting"} 2\n');
  expect(Number(/^berth_oldest_waiting_job_age_seconds (\S+)$/m.exec(text)?.[1])).toBeGreaterThanOrEqual(100);
});

test("a metric whose store does not answer is left out, so that it is never stale", async () => {
  const { read, redis, database, session } = await open();
  await session("acme");
  expect(await read()).toContain('berth_sessions{state="queued"} 1\n');
  redis.disconnect();
  await database.schema.dropTable("session_events").cascade().execute();
  await database.schema.dropTable("sessions").cascade().execute();
  const text = await read();
  for (const name of ["berth_sessions", "berth_tenant_sessions", "bullmq_waiting_jobs", "bullmq_jobs"]) {
    expect(text, name).not.toContain(`${name}{`);
  }
  expect(text).not.toMatch(/^berth_oldest_waiting_job_age_seconds /m);
});

test("only the leader reports the sweep's findings, and how old its sweep or its planning is", async () => {
  const leader = await (await open()).read();
  expect(leader).toContain("berth_leader 1\n");
  expect(leader).toContain('berth_orphans{kind="claim"} 2\n');
  expect(leader).toContain("berth_reconcile_age_seconds 4\n");
  const late = await (await open({ secondsSincePlanning: 9 })).read();
  expect(late).toContain("berth_reconcile_age_seconds 9\n");
  const other = await (await open({ isLeader: false })).read();
  expect(other).toContain("berth_leader 0\n");
  expect(other).not.toContain("berth_orphans{");
  expect(other).not.toMatch(/^berth_reconcile_age_seconds /m);
  expect(other).not.toMatch(/^berth_sessions_without_tenant /m);
  for (const name of ["berth_sessions", "berth_tenant_sessions", "berth_sessions_stuck", "berth_token_key_sessions"]) {
    expect(other, name).not.toContain(`${name}{`);
  }
});
