/** Tests the in-pod channel with a real Postgres. The channel listens on no port. */
import { until } from "@berth/testing/until.ts";
import pg from "pg";
import { expect, onTestFinished, test, vi } from "vitest";
import type { SessionEvent } from "../domain/states/state.ts";
import type { NewSession } from "../store/newSession.ts";
import { recordsOn } from "../store/records.ts";
import { ownedOf } from "../store/warmSessions.ts";
import { createLogger } from "../telemetry/logging.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { cipher, freshDatabase, silent, tenant, tokenKey, tokenKeys } from "../testing/fixtures.ts";
import { createChannel } from "./channel.ts";
import { OwnerWait } from "./ownerWait.ts";
import { proxyToken, sessionToken } from "./token.ts";

const user = { name: "key:default" };
const nobody = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
const task = { command: ["make", "it"], env: { MODE: "fast" }, secrets: { API_KEY: "hunter2" } };

async function open() {
  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const lines: string[] = [];
  const reconciles: string[] = [];
  const metrics = new Metrics();
  let waits = 0;
  const find = async (ids: string[]) => {
    const owned = await ownedOf(database, ids);
    waits += 1;
    return owned;
  };
  // Within a test, the database is asked for claims only when a request begins to wait. A wait of 25 s, the longest that the
  // channel allows, is replaced with a wait of an hour.
  const owners = new OwnerWait(find, silent, 3_600_000);
  const longest = 25_000;
  const held: Pick<OwnerWait, "until" | "end"> = {
    until: (id, ms, signal) => owners.until(id, ms === longest ? 3_600_000 : ms, signal),
    end: () => owners.end(),
  };
  const server = createChannel({
    tokenKeys,
    ...store,
    queue: { trigger: (id) => reconciles.push(id) },
    owners: held,
    tenants: { all: () => [tenant("acme"), tenant("strict", { commandIsActivity: false })] },
    metrics,
    logger: createLogger("debug", "api", { write: (line) => lines.push(line) }),
  });
  onTestFinished(() => server.close());
  return {
    database,
    store,
    owners,
    /** How often the database was asked whether sessions are claimed. Each request asks once when it begins to wait. */
    waits: () => waits,
    reconciles,
    metrics,
    log: () => lines.join(""),
    close: () => server.close(),
    create: async (request: Partial<NewSession> = {}) => {
      const made = await store.creation.create(
        { tenant: "acme", namespace: "tenant-acme", tier: "small", ...request },
        user,
      );
      if (typeof made === "string") throw new Error(made);
      return made.session.id;
    },
    call: async (
      id: string,
      method: "GET" | "POST",
      path: string,
      body?: unknown,
      token = sessionToken(tokenKey, id),
      more: Record<string, string> = {},
    ) => {
      const headers = { authorization: `Bearer ${token}`, ...more };
      const answer = await server.inject({
        method,
        url: path,
        headers,
        ...(body !== undefined && { payload: body as object }),
      });
      return {
        status: answer.statusCode,
        headers: answer.headers,
        json: answer.body === "" ? undefined : answer.json(),
      };
    },
  };
}

test("a session's pod gets its session's task, and the log contains no secret of the task", async () => {
  const { create, call, log } = await open();
  const id = await create({ task });
  const answer = await call(id, "GET", "/session/task");
  expect(answer).toMatchObject({ status: 200, json: { id, tenant: "acme", tier: "small", ...task } });
  expect(answer.headers["cache-control"]).toBe("no-store");
  expect(log()).toContain(`"sessionId":"${id}"`);
  expect(log()).toContain('"tenant":"acme"');
  expect(log()).not.toContain("hunter2");
  expect(log()).not.toContain(sessionToken(tokenKey, id));
});

test("the pod gets its task until it confirms the task, then nobody gets it, until the session gets another pod", async () => {
  const { create, call, store } = await open();
  const id = await create({ task });
  const apply = async (...events: SessionEvent[]) => {
    for (const event of events) {
      const seen = await store.queries.find(id);
      if (seen !== undefined) await store.commands.apply(seen, event, user);
    }
  };
  const runs = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }] as const;
  await apply(...runs);
  // If the answer is lost, the pod can ask again.
  for (const _attempt of [1, 2])
    expect(await call(id, "GET", "/session/task")).toMatchObject({ status: 200, json: task });
  for (const _attempt of [1, 2]) expect((await call(id, "POST", "/session/task/taken")).status).toBe(204);
  const again = await call(id, "GET", "/session/task");
  expect(again).toMatchObject({ status: 410, json: { detail: "The session's pod has already read its task." } });
  expect(JSON.stringify(again.json)).not.toContain("hunter2");
  await apply({ type: "suspend", reason: "" }, { type: "vacated" }, { type: "resume", reason: "" });
  expect((await call(id, "GET", "/session/task")).status).toBe(410);
  await apply(...runs);
  expect(await call(id, "GET", "/session/task")).toMatchObject({ status: 200, json: task });
});

test("nobody can read the task of a session that has not been claimed yet", async () => {
  const { create, call, database } = await open();
  const id = await create({ warm: "hash" });
  expect((await call(id, "POST", "/session/task/taken")).status).toBe(409);
  await database.updateTable("sessions").set({ warm: null }).execute();
  expect((await call(id, "GET", "/session/task")).status).toBe(200);
});

test("the pod of a warm session is told to ask again until the session is claimed, and then gets the owner's task", async () => {
  const { create, call, store } = await open();
  const id = await create({ warm: "hash" });
  const early = await call(id, "GET", "/session/task");
  expect(early).toMatchObject({ status: 409, headers: { "retry-after": "1" } });
  const made = await store.queries.find(id);
  const starting = made && (await store.commands.apply(made, { type: "admitted" }, user));
  if (typeof starting !== "object") throw new Error(starting);
  await store.commands.apply(starting, { type: "ready", podIp: "10.0.0.1" }, user);
  expect(await create({ claim: "hash", task })).toBe(id);
  expect(await call(id, "GET", "/session/task")).toMatchObject({ status: 200, json: task });
});

/** Creates a running warm session. Returns its id and a function that claims it. */
async function warmSession({ create, store }: Awaited<ReturnType<typeof open>>) {
  const id = await create({ warm: "hash" });
  const made = await store.queries.find(id);
  const starting = made && (await store.commands.apply(made, { type: "admitted" }, user));
  if (typeof starting !== "object") throw new Error(starting);
  await store.commands.apply(starting, { type: "ready", podIp: "10.0.0.1" }, user);
  return { id, claim: () => create({ claim: "hash", task }) };
}

test("the pod of a warm session may wait for the answer: it gets the task as soon as the claim is announced", async () => {
  const channel = await open();
  const { id, claim } = await warmSession(channel);
  const asked = channel.call(id, "GET", "/session/task", undefined, undefined, { prefer: "respond-async, wait=25" });
  await until("the pod waits", 30, () => channel.waits() === 1);
  expect(await claim()).toBe(id);
  channel.owners.claimed(id);
  expect(await until("the pod has its answer", 30, () => asked)).toMatchObject({ status: 200, json: task });
  expect(channel.waits()).toBe(1); // the database was not asked again
});

test("a held request that ends without a task, or because the channel closes, may be repeated at once", async () => {
  const channel = await open();
  const { id } = await warmSession(channel);
  const ask = (prefer: string) => channel.call(id, "GET", "/session/task", undefined, undefined, { prefer });
  expect(await ask("wait=1")).toMatchObject({ status: 409, headers: { "retry-after": "0" } });
  expect(await ask("wait=0")).toMatchObject({ status: 409, headers: { "retry-after": "1" } });
  const held = ask("wait=25");
  await until("the pod waits", 30, () => channel.waits() === 2);
  await channel.close();
  expect(await until("the pod has its answer", 30, () => held)).toMatchObject({
    status: 409,
    headers: { "retry-after": "0" },
  });
});

test("each report of a warm session's pod counts as activity, so that a claim finds a pod that lives", async () => {
  const channel = await open();
  const { id } = await warmSession(channel);
  const silence = { last_active_at: new Date(Date.now() - 3_600_000) };
  await channel.database.updateTable("sessions").set(silence).execute();
  expect((await channel.call(id, "POST", "/session/activity", { idleSeconds: 3_600, command: "waiting" })).status).toBe(
    204,
  );
  const seen = await channel.store.queries.find(id);
  expect(Date.now() - (seen?.lastActiveAt?.getTime() ?? 0)).toBeLessThan(60_000);
});

test("the pods' regular calls are not logged and do not count as requests of users", async () => {
  const { create, call, log, metrics } = await open();
  const id = await create({ task });
  await call(id, "GET", "/session/task");
  await call(id, "POST", "/session/activity", { idleSeconds: 1, command: "none" });
  await call(id, "POST", "/session/ready");
  expect(await metrics.registry.metrics()).not.toMatch(/http_request.*session\/(task|activity)/);
  expect(await metrics.registry.metrics()).toMatch(/http_requests_total.*session\/ready/);
  const lines = log()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  const logged = lines.filter(({ level, msg }) => msg === "request" && (level === "info" || level === 30));
  expect(logged.map(({ url }) => url)).toEqual(["/session/ready"]);
});

test("reports that come together are one statement, and each gets its own answer", async () => {
  const { store, create, call } = await open();
  const [used, idle, strict] = [await create(), await create(), await create({ tenant: "strict" })];
  const query = vi.spyOn(pg.Query.prototype, "submit");
  onTestFinished(() => query.mockRestore());
  const report = (id: string, idleSeconds: number) =>
    call(id, "POST", "/session/activity", { idleSeconds, command: id === strict ? "running" : "none" });
  const together = async () => {
    query.mockClear();
    const answers = await Promise.all([
      report(used, 1),
      report(used, 99),
      report(idle, 99),
      report(strict, 99),
      report(nobody, 1),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204, 204, 404]);
    return query.mock.calls.length;
  };
  // On a busy machine, the reports can take longer than the time for which the channel collects them.
  await until("the reports are one statement", 5, together, (statements) => statements === 1);
  const lastActive = await Promise.all(
    [used, idle, strict].map(async (id) => (await store.queries.find(id))?.lastActiveAt),
  );
  expect(lastActive).toEqual([expect.any(Date), null, null]);
});

test("a session without a task only has a desktop", async () => {
  const { create, call } = await open();
  const id = await create();
  expect((await call(id, "GET", "/session/task")).json).toMatchObject({ command: null, env: {}, secrets: {} });
});

test("a token authenticates its own session only, and only while the session lives", async () => {
  const { store, create, call } = await open();
  const [id, other] = [await create({ task }), await create()];
  const problem = { json: { type: "about:blank", title: expect.any(String), detail: expect.any(String) } };
  for (const token of ["wrong", proxyToken(tokenKey, id), sessionToken("f".repeat(32), id), `${id}.`]) {
    expect(await call(id, "GET", "/session/task", undefined, token)).toMatchObject({ status: 401, ...problem });
  }
  expect((await call(id, "GET", "/session/task", undefined, sessionToken(tokenKey, other))).json.id).toBe(other);
  const nobody = "00000000-0000-4000-8000-000000000000";
  expect(await call(nobody, "GET", "/session/task")).toMatchObject({ status: 404, ...problem });
  await store.commands.stop(id, "acme", "Stopped by the user", user);
  expect((await call(id, "GET", "/session/task")).status).toBe(200);
  const stopping = await store.queries.find(id);
  if (stopping !== undefined) await store.commands.apply(stopping, { type: "gone", keepSeconds: 0 }, user);
  expect(await call(id, "GET", "/session/task")).toMatchObject({ status: 409, ...problem });
});

test("the call /session/ready triggers a reconcile of the session while it starts, and causes no work later", async () => {
  const { database, create, call, reconciles } = await open();
  const id = await create();
  for (const state of ["starting", "running"] as const) {
    await database.updateTable("sessions").set({ state }).execute();
    expect((await call(id, "POST", "/session/ready")).status).toBe(204);
    expect(reconciles).toEqual([id]);
  }
});

test("a command that runs keeps the session from being idle, and not where the tenant says so", async () => {
  const { store, create, call } = await open();
  const [acme, strict] = [await create(), await create({ tenant: "strict" })];
  const report = { idleSeconds: 60, command: "running" };
  for (const id of [acme, strict]) expect((await call(id, "POST", "/session/activity", report)).status).toBe(204);
  expect((await store.queries.find(acme))?.lastActiveAt).toBeInstanceOf(Date);
  expect((await store.queries.find(strict))?.lastActiveAt).toBeNull();
});

test("a user who types or points keeps the session from being idle, whatever its command does", async () => {
  const { store, create, call, log } = await open();
  const id = await create({ tenant: "strict" });
  const report = (idleSeconds: number, command: string, exitCode?: number) =>
    call(id, "POST", "/session/activity", { idleSeconds, command, exitCode });
  expect((await report(60, "running")).status).toBe(204);
  expect((await store.queries.find(id))?.lastActiveAt).toBeNull();
  expect((await report(3, "running")).status).toBe(204);
  expect((await store.queries.find(id))?.lastActiveAt).toBeInstanceOf(Date);
  expect((await report(60, "ended", 7)).status).toBe(204);
  expect(log()).toContain('"exitCode":7');
});

test("progress is shown with the session and in its audit trail", async () => {
  const { store, create, call } = await open();
  const id = await create();
  const queued = await store.queries.find(id);
  if (queued !== undefined) await store.commands.apply(queued, { type: "admitted" }, user);
  expect((await call(id, "POST", "/session/progress", { message: "Reading", percent: 40 })).status).toBe(204);
  expect((await store.queries.find(id))?.progress).toEqual({ message: "Reading", percent: 40 });
  const events = await store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 10);
  expect(events.at(-1)).toMatchObject({ type: "progress", reason: "Reading (40 %)", actor: "agent" });
});

test("bad input gets an answer that names the field and the rule, and a flood is told when to come again", async () => {
  const { create, call, metrics } = await open();
  const cases: [string, unknown, string][] = [
    ["/session/progress", {}, "message"],
    ["/session/progress", { message: " " }, "message"],
    ["/session/progress", { message: "x".repeat(501) }, "message"],
    ["/session/progress", { message: "x", percent: 101 }, "percent"],
    ["/session/progress", { message: "x", colour: "red" }, "colour"],
    ["/session/progress", [], "body"],
    ["/session/activity", { idleSeconds: -1, command: "none" }, "idleSeconds"],
    ["/session/activity", { idleSeconds: 1, command: "dancing" }, "command"],
    ["/session/activity", { idleSeconds: 1, command: "ended", exitCode: 256 }, "exitCode"],
  ];
  const id = await create();
  for (const [path, body, field] of cases) {
    expect(await call(id, "POST", path, body), JSON.stringify(body)).toMatchObject({
      status: 400,
      json: { errors: [{ field, rule: expect.stringMatching(/.+/) }] },
    });
  }
  expect((await call(id, "GET", "/session/nothing")).status).toBe(404);
  expect((await call(id, "POST", "/session/progress", { message: "x".repeat(20_000) })).status).toBe(413);
  const flood = await Promise.all(Array.from({ length: 20 }, () => call(id, "POST", "/session/ready")));
  const refused = flood.find(({ status }) => status === 429);
  expect(Number(refused?.headers["retry-after"])).toBeGreaterThan(0);
  const text = await metrics.registry.metrics();
  expect(text).toContain('http_requests_total{method="POST",route="/session/progress",status="400"} 6');
  expect(text).not.toContain(id);
});

test.each(["a\u0000b", "a\ud800b"])("progress that no store can hold is refused by its field: %j", async (message) => {
  const { create, call } = await open();
  const id = await create();
  expect(await call(id, "POST", "/session/progress", { message })).toMatchObject({
    status: 400,
    json: { errors: [{ field: "message", rule: "must be well-formed text without NUL" }] },
  });
});
