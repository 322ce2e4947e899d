/** Warm sessions with a real Postgres: who gets them, and what their users see. */
import { randomUUID } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import pg from "pg";
import { expect, test, vi } from "vitest";
import { podTemplateHash } from "../domain/podTemplateHash.ts";
import { findImage } from "../domain/sessionImages.ts";
import type { NewSession } from "../store/newSession.ts";
import { recordsOn } from "../store/records.ts";
import { cipher, freshDatabase, sessionOf, silent, tenant } from "../testing/fixtures.ts";
import { Planner } from "./planner.ts";
import { WarmPools } from "./warmPools.ts";

const user = { name: "key:default" };
const task = { command: ["make", "it"], env: {}, secrets: { API_KEY: "hunter2" } };
const images = {
  agent: "agent@sha256:1",
  agentHasBerthd: true,
  berthd: "berthd@sha256:1",
  berthdVolume: "copy" as const,
};

/** Room for 60 sessions. */
const roomy = {
  maxSessions: 60,
  quota: {
    requestsCpu: "60",
    limitsCpu: "240",
    requestsMemory: "240Gi",
    limitsMemory: "240Gi",
    pods: 60,
    storage: "60Gi",
  },
};

async function open(size = 1, changes: Parameters<typeof tenant>[1] = {}) {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const acme = tenant("acme", { warmPools: { small: size }, ...changes });
  const beta = tenant("beta", { maxSessions: 1 });
  let tenants = [acme];
  const options = { database, ...store, trigger: () => {}, plan: () => {} };
  const pools = (made = images, generation = 0, maxStarting = 100) =>
    new WarmPools({
      ...options,
      images: made,
      tenants: { all: () => tenants, generation },
      startLimit: { current: () => maxStarting },
    });
  const plannerOf = (maxStarting: number) => {
    const planner = new Planner({
      database,
      commands: store.queueCommands,
      isLeader: () => true,
      bell: { ring: () => {}, listen: () => () => {} },
      tenants: { get: (name) => [...tenants, beta].find((one) => one.name === name), generation: 0 },
      startLimit: { read: async () => maxStarting },
      onChange: () => {},
      logger: silent,
    });
    return planner;
  };
  const planner = plannerOf(100);
  const warmSessions = () =>
    database.selectFrom("sessions").selectAll().where("warm", "is not", null).orderBy("created_at").execute();
  return {
    database,
    store,
    planner,
    /** A planner that starts nothing, because all start slots are in use. */
    noSlots: plannerOf(0),
    warmSessions,
    /** `generation`: the generation of the tenants file that the worker has read. Default 0. */
    refill: (made?: typeof images, generation?: number) => pools(made, generation).refill(),
    refillBy: (maxStarting: number) => pools(images, 0, maxStarting).refill(),
    setTenant: (changed: ReturnType<typeof tenant>) => (tenants = [changed]),
    /** Moves the warm sessions to `running`, as the reconciler would. */
    start: async () => {
      await planner.plan();
      for (const { id } of await warmSessions()) {
        const session = await store.queries.find(id);
        if (session?.state === "starting")
          await store.commands.apply(session, { type: "ready", podIp: "10.0.0.1" }, user);
      }
    },
    ask: async (request: Partial<NewSession> = {}) => {
      const image = findImage(acme, images, request.image ?? null);
      const claim = image && podTemplateHash(images, image, acme);
      const small = { tenant: "acme", namespace: "tenant-acme", tier: "small", claim } as const;
      return sessionOf(await store.creation.create({ ...small, ...request }, user));
    },
    /** Moves the start of the session's state one minute back. */
    haveWaited: (id: string) =>
      database
        .updateTable("sessions")
        .set({ state_since: new Date(Date.now() - 60_000) })
        .where("id", "=", id)
        .execute(),
    age: () =>
      database
        .updateTable("sessions")
        .set({ created_at: new Date(Date.now() - 120_000) })
        .execute(),
  };
}

test("a user gets a session that is already running, with their own task, labels and time limits, and its time starts then", async () => {
  const { refill, start, ask, store, warmSessions, age } = await open();
  await refill();
  await start();
  await age();
  const [warmSession] = await warmSessions();
  const got = await ask({ task, labels: { job: "7" }, idleTimeoutSeconds: 60, maxLifetimeSeconds: 600, priority: 9 });
  expect(got).toMatchObject({
    id: warmSession?.id,
    state: "running",
    podIp: "10.0.0.1",
    warm: null,
    labels: { job: "7" },
    idleTimeoutSeconds: 60,
    maxLifetimeSeconds: 600,
    priority: 9,
    ranSeconds: 0,
  });
  expect(Date.now() - got.createdAt.getTime()).toBeLessThan(60_000);
  expect(got.startedAt).toEqual(got.createdAt);
  expect(await store.tasks.of(got.id)).toEqual(task);
  expect((await ask()).state).toBe("queued");
});

test("nobody sees a warm session before it is claimed, and its history begins with the claim", async () => {
  const { refill, start, ask, store, warmSessions } = await open();
  await refill();
  await start();
  const [warmSession] = await warmSessions();
  const day = new Date().toISOString().slice(0, 10);
  expect(await store.queries.find(warmSession?.id ?? "", "acme")).toBeUndefined();
  expect((await store.queries.list("acme", { limit: 10 }))?.items).toEqual([]);
  expect(await store.trail.ofTenant({ tenant: "acme" }, "0", 100)).toEqual([]);
  expect(await store.trail.ofAll("0", 100)).toEqual([]);
  expect(await store.usage.ofTenant("acme", day, day)).toEqual([]);
  expect(await store.counts.byTenantAndState()).toEqual([]);
  expect(await store.commands.stop(warmSession?.id ?? "", "acme", "Not mine", user)).toBeUndefined();

  const { id } = await ask();
  expect((await store.queries.list("acme", { limit: 10 }))?.items).toMatchObject([{ id }]);
  expect(await store.trail.ofTenant({ tenant: "acme" }, "0", 100)).toMatchObject([
    { sessionId: id, type: "claimed", state: "running", actor: "key:default" },
  ]);
});

test("fifty users who claim at the same time get fifty sessions, each by one statement and each with its own task", async () => {
  const { refill, start, ask, store, warmSessions } = await open(50, roomy);
  await refill();
  await start();
  const query = vi.spyOn(pg.Query.prototype, "submit");
  const users = Array.from({ length: 50 }, (_, user) => ({ ...task, secrets: { USER: `${user}` } }));
  const got = await Promise.all(users.map((own) => ask({ task: own })));
  // The tasks are bound to their sessions later, many by one statement.
  const claims = query.mock.contexts.filter((sent) => !(sent as { text: string }).text.includes("as bound"));
  query.mockRestore();
  expect(got.map(({ state }) => state)).toEqual(users.map(() => "running"));
  expect(new Set(got.map(({ id }) => id)).size).toBe(50);
  expect(claims).toHaveLength(50);
  expect(await Promise.all(got.map(({ id }) => store.tasks.of(id)))).toEqual(users);
  expect(await warmSessions()).toEqual([]);
  expect((await ask()).state).toBe("queued");
});

test("the same idempotency key gives the same session, whether it was warm or new", async () => {
  const { refill, start, ask, warmSessions } = await open(2);
  await refill();
  await start();
  const request = { idempotency: { key: "once", request: {} }, task };
  const first = await ask(request);
  const again = await ask(request);
  expect(again.id).toBe(first.id);
  expect(await warmSessions()).toHaveLength(1);
});

test("requests with the same idempotency key at the same time give one session", async () => {
  const { refill, start, ask, warmSessions } = await open(10, roomy);
  await refill();
  await start();
  const request = { idempotency: { key: "once", request: {} }, task };
  const got = await Promise.all(Array.from({ length: 10 }, () => ask(request)));
  expect(new Set(got.map(({ id }) => id)).size).toBe(1);
  expect(got[0]?.state).toBe("running");
  expect(await warmSessions()).toHaveLength(9);
});

test("a repeated request locks no warm session", async () => {
  const { database, refill, start, ask, warmSessions } = await open(2);
  await refill();
  await start();
  const request = { idempotency: { key: "once", request: {} } };
  const first = await ask(request);
  const [warmSession] = await warmSessions();
  /** The last transaction that has locked or changed this version of the row. */
  const toucher = () =>
    database.selectFrom("sessions").select(sql`xmax::text`.as("xmax")).where("id", "=", `${warmSession?.id}`).execute();
  const before = await toucher();
  // This trigger fails each statement that would update a row of `sessions`.
  await sql`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'the warm session is changed'; end $$`.execute(database);
  await sql`create trigger refuse before update on sessions for each row execute function refuse()`.execute(database);
  expect((await ask(request)).id).toBe(first.id);
  await sql`drop trigger refuse on sessions`.execute(database);
  expect(await toucher()).toEqual(before);
});

test("a claim skips a warm session that another statement changes, and waits for nothing", async () => {
  const { database, refill, start, ask, warmSessions } = await open(2);
  await refill();
  await start();
  const [first, second] = await warmSessions();
  await database.transaction().execute(async (transaction) => {
    await transaction.selectFrom("sessions").where("id", "=", `${first?.id}`).forUpdate().select("id").execute();
    expect(await ask()).toMatchObject({ id: second?.id, state: "running" });
  });
  expect(await ask()).toMatchObject({ id: first?.id, state: "running" });
});

test("a warm session whose pod does not report any more is not given out, until the pod reports again", async () => {
  const { database, refill, start, ask, store, warmSessions } = await open();
  await refill();
  await start();
  const [warmSession] = await warmSessions();
  const id = warmSession?.id ?? "";
  await database.updateTable("sessions").set({ last_active_at: sql`now() - interval '80 seconds'` }).execute();
  expect((await ask()).state).toBe("queued");
  await store.reports.take([{ id, isActive: false, runsCommand: false }], []);
  expect(await ask()).toMatchObject({ id, state: "running" });
});

test("a warm session whose pod has been silent for five minutes is replaced, unless all pods are silent", async () => {
  const { database, refill, start, warmSessions, store } = await open(2);
  await refill();
  await start();
  const [silentOne, other] = await warmSessions();
  await database.updateTable("sessions").set({ last_active_at: sql`now() - interval '6 minutes'` }).execute();
  await refill();
  expect((await warmSessions()).map(({ state }) => state)).toEqual(["running", "running"]);
  await store.reports.take([{ id: other?.id ?? "", isActive: false, runsCommand: false }], []);
  await refill();
  expect((await warmSessions()).map(({ id, state }) => [id, state])).toEqual([
    [silentOne?.id, "stopping"],
    [other?.id, "running"],
    [expect.any(String), "queued"],
  ]);
});

test("a claimed session's task belongs to its row: nobody reads the task in another row, or in another tenant's", async () => {
  const { database, refill, start, ask, store } = await open(2);
  await refill();
  await start();
  const mine = await ask({ task });
  const other = await ask({ task: { ...task, secrets: {} } });
  // A process that ends in the middle of a claim leaves the task like this.
  const task_id = randomUUID();
  const own = { task: cipher.encrypt(task, 1, { tid: task_id, tenant: "acme" }), task_id };
  const change = (id: string, values: { task?: string | null; task_id?: string | null; tenant?: string }) =>
    database.updateTable("sessions").set(values).where("id", "=", id).execute();
  const refusal = "the encrypted task belongs to another session or tenant";
  await change(mine.id, own);
  await change(other.id, { task: own.task });
  await expect(store.tasks.of(other.id)).rejects.toThrow(refusal);
  await expect(change(other.id, own)).rejects.toThrow("sessions_task_ids");
  await change(mine.id, { tenant: "beta" });
  await expect(store.tasks.of(mine.id)).rejects.toThrow(refusal);
  await change(mine.id, { tenant: "acme" });
  expect(await store.tasks.of(mine.id)).toEqual(task);
});

test("a claimed session's task is bound to the session's id, so that an older version and a later pod can read the task", async () => {
  const { database, refill, start, ask, store } = await open();
  await refill();
  await start();
  const { id } = await ask({ task });
  expect(await store.tasks.of(id)).toEqual(task);
  const headerOf = async () => {
    const row = await database
      .selectFrom("sessions")
      .select(["task", "task_id"])
      .where("id", "=", id)
      .executeTakeFirst();
    const [header = ""] = row?.task?.split(".") ?? [];
    return { ...JSON.parse(Buffer.from(header, "base64url").toString()), stored: row?.task_id };
  };
  const header = await until("the task is bound", 30, headerOf, ({ stored }) => stored === null);
  expect(header).toEqual({ alg: "dir", enc: "A256GCM", kid: "1", sid: id, stored: null });
  expect(await store.tasks.of(id)).toEqual(task);
});

test("warm sessions that fail are made again, ever fewer, and again after a minute without a failure", async () => {
  const { database, refill, start, warmSessions, store } = await open(50, roomy);
  /** Fills the pool; all its new sessions fail. Returns how many there were. */
  const fail = async () => {
    await refill();
    await start();
    const live = (await warmSessions()).filter(({ state }) => state === "running");
    for (const { id } of live) {
      const end = { type: "fail", cause: "agent-error", reason: "The agent failed" } as const;
      for (const event of [end, { type: "gone", keepSeconds: 0 } as const]) {
        const session = await store.queries.find(id);
        if (session !== undefined) await store.commands.apply(session, event, user);
      }
    }
    return live.length;
  };
  expect(await fail()).toBe(50);
  expect(await fail()).toBe(0);
  await database.updateTable("sessions").set({ state_since: sql`now() - interval '61 seconds'` }).execute();
  expect(await fail()).toBe(50);
});

test("a pool is filled as fast as its sessions start, and the call says whether sessions are still missing", async () => {
  const { refillBy, start, warmSessions } = await open(10, roomy);
  expect(await refillBy(3)).toBe(true);
  expect(await warmSessions()).toHaveLength(6);
  expect(await refillBy(3)).toBe(false); // all wait in the queue, so another planning soon would find no room
  expect(await warmSessions()).toHaveLength(6);
  await start();
  expect(await refillBy(3)).toBe(false);
  expect(await warmSessions()).toHaveLength(10);
});

test("a warm session with another image or workspace is not given out, and is removed", async () => {
  const { refill, start, ask, warmSessions, setTenant } = await open();
  for (const old of [{ agent: "agent@sha256:0" }, { berthd: "berthd@sha256:0", berthdVolume: "copy" as const }]) {
    await refill({ ...images, ...old });
    await start();
    expect((await ask()).state).toBe("queued");
  }
  await refill();
  expect((await warmSessions()).map(({ state }) => state)).toContain("stopping");
  setTenant(tenant("acme"));
  await refill();
  expect((await warmSessions()).every(({ state }) => state === "stopping")).toBe(true);
});

const browser = { name: "browser", image: "browser@sha256:1", warmPools: { small: 1 } };

test("each image has a pool per tier, and a user gets a session with the requested image", async () => {
  const { refill, start, ask, warmSessions } = await open(1, { images: [browser, { ...browser, name: "other" }] });
  await refill();
  await refill(); // no pool is filled twice
  await start();
  const made = (await warmSessions()).map(({ id, image, tier, desktop }) => ({ id, image, tier, desktop }));
  expect(made).toEqual([
    { id: expect.any(String), image: null, tier: "small", desktop: true },
    { id: expect.any(String), image: "browser", tier: "small", desktop: false },
    { id: expect.any(String), image: "other", tier: "small", desktop: false },
  ]);
  const [own, ofBrowser] = made;
  const first = await ask({ image: "browser", desktop: false });
  expect(first).toMatchObject({ id: ofBrowser?.id, image: "browser", desktop: false, state: "running" });
  expect((await ask({ image: "browser", desktop: false })).state).toBe("queued");
  expect((await ask({ image: "browser", desktop: false, tier: "medium" })).state).toBe("queued");
  expect(await ask()).toMatchObject({ id: own?.id, image: null, state: "running" });
});

test("an image that the config has lost has no pool, unless a newer tenants file may name it", async () => {
  const { refill, warmSessions, setTenant, database } = await open(0, { images: [browser] });
  await refill();
  await database.updateTable("sessions").set({ tenants_generation: 7 }).execute();
  setTenant(tenant("acme"));
  await refill(images, 6);
  expect(await warmSessions()).toMatchObject([{ image: "browser", state: "queued" }]);
  await refill(images, 7);
  expect(await warmSessions()).toMatchObject([{ image: "browser", state: "stopping" }]);
});

test("a worker with an older tenants file leaves alone a pool that a newer one has filled", async () => {
  const { refill, warmSessions, setTenant, database } = await open();
  await refill();
  await database.updateTable("sessions").set({ tenants_generation: 7 }).execute();
  setTenant(tenant("acme"));
  await refill(images, 6);
  expect(await warmSessions()).toMatchObject([{ state: "queued" }]);
  await refill(images, 7);
  expect(await warmSessions()).toMatchObject([{ state: "stopping" }]);
});

test("no warm session starts in place of a session of the tenant's own", async () => {
  const { refill, ask, planner, warmSessions, store } = await open(1, { maxSessions: 1 });
  await refill();
  const own = await ask();
  await planner.plan();
  expect((await store.queries.find(own.id))?.state).toBe("starting");
  expect(await warmSessions()).toMatchObject([{ state: "queued" }]);
});

test("the planner changes only sessions that are in the queue", async () => {
  const { refill, ask, planner, store } = await open();
  const own = await ask();
  await planner.plan();
  const starting = await store.queries.find(own.id);
  await refill();
  await planner.plan();
  await planner.plan();
  expect(await store.queries.find(own.id)).toEqual(starting);
});

test("a warm session is given up for a session of the tenant that has waited for quota", async () => {
  const { refill, start, ask, planner, warmSessions, store, haveWaited } = await open(1, { maxSessions: 1 });
  await refill();
  await start();
  const own = await ask({ tier: "medium" });
  await planner.plan();
  expect((await store.queries.find(own.id))?.state).toBe("queued");
  await haveWaited(own.id);
  await refill();
  expect(await warmSessions()).toMatchObject([{ state: "stopping" }]);
});

test("another tenant's session that waits does not keep the pool from being filled", async () => {
  const { refill, ask, planner, warmSessions, store } = await open();
  const beta = { tenant: "beta", namespace: "tenant-beta", claim: undefined };
  await ask(beta);
  const second = await ask(beta);
  await refill();
  await planner.plan();
  expect(await store.queries.find(second.id)).toMatchObject({ state: "queued" });
  expect(await warmSessions()).toMatchObject([{ state: "starting" }]);
});

test("a tenant's session that waits for a start slot neither ends a warm session nor prevents a claim", async () => {
  const { refill, start, ask, noSlots, warmSessions, store, haveWaited } = await open();
  await refill();
  await start();
  const own = await ask({ tier: "medium" });
  await noSlots.plan();
  expect((await store.queries.find(own.id))?.reason).toBe("Waiting for its turn to start");
  await haveWaited(own.id);
  await refill();
  expect(await warmSessions()).toMatchObject([{ state: "running" }]);
  expect((await ask()).state).toBe("running");
});

test("nor does a session that can never fit the tenant's quota", async () => {
  const { refill, start, ask, planner, warmSessions, store, haveWaited, database, setTenant } = await open();
  const quota = {
    requestsCpu: "9",
    limitsCpu: "2",
    requestsMemory: "9Gi",
    limitsMemory: "9Gi",
    pods: 9,
    storage: "9Gi",
  };
  await refill();
  await start();
  const own = await ask({ tier: "large" });
  await database.updateTable("sessions").set({ started_at: new Date() }).where("id", "=", own.id).execute();
  setTenant(tenant("acme", { warmPools: { small: 1 }, quota }));
  await planner.plan();
  expect((await store.queries.find(own.id))?.reason).toContain("more than the tenant's whole quota");
  await haveWaited(own.id);
  await refill();
  expect(await warmSessions()).toMatchObject([{ state: "running" }]);
  expect((await ask()).state).toBe("running");
});

test("while a session of the tenant waits for quota, nobody claims a warm session ahead of it", async () => {
  const { refill, start, ask, planner } = await open(1, { maxSessions: 1 });
  await refill();
  await start();
  await ask({ tier: "medium" });
  await planner.plan();
  expect((await ask()).state).toBe("queued");
});
