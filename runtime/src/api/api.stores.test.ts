import { until } from "@berth/testing/until.ts";
import type { InjectOptions } from "fastify";
import { expect, onTestFinished, test } from "vitest";
import { Bell } from "../queue/bell.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { call, openApi } from "../testing/api.ts";
import { keyOf, patienceMs, silent } from "../testing/fixtures.ts";
import type { SessionJson } from "./sessionJson.ts";

const small = { body: { tier: "small" } };

test("a session is created, found, listed and stopped", async () => {
  const api = await openApi();
  const made = await call(api, "POST", "/v1/sessions", small);
  expect(made.status).toBe(201);
  expect(made.json).toEqual({
    id: expect.any(String),
    tenant: "acme",
    tier: "small",
    image: null,
    desktop: true,
    labels: {},
    priority: 50,
    state: "queued",
    reason: null,
    cause: null,
    queuePosition: 1,
    progress: null,
    idleTimeoutSeconds: null,
    maxLifetimeSeconds: null,
    workspace: { mode: "persistent", keptUntil: null },
    createdAt: expect.any(String),
    updatedAt: expect.any(String),
    stateSince: expect.any(String),
    startedAt: null,
    lastActiveAt: null,
    expiresAt: null,
    endedAt: null,
    links: {
      self: `http://berth.example/v1/sessions/${made.json.id}`,
      desktop: `http://berth.example/desktop/${made.json.id}`,
    },
  });
  expect(made.headers.location).toBe(made.json.links.self);
  const path = `/v1/sessions/${made.json.id}`;
  expect((await call(api, "GET", path)).json).toEqual(made.json);
  expect((await call(api, "GET", "/v1/sessions")).json).toEqual({ items: [made.json], nextCursor: null });
  const stopped = await call(api, "DELETE", path);
  expect(stopped).toMatchObject({ status: 202, json: { state: "stopping", reason: "Stopped by the user" } });
  expect(await call(api, "DELETE", path)).toMatchObject({ status: 202, json: { state: "stopping" } });
});

test("sessions in the queue have their position among the tenant's sessions", async () => {
  const api = await openApi();
  await call(api, "POST", "/v1/sessions", { ...small, key: keyOf("beta") });
  const [first, second] = [
    await call(api, "POST", "/v1/sessions", small),
    await call(api, "POST", "/v1/sessions", small),
  ];
  const positions = async () =>
    (await call(api, "GET", "/v1/sessions")).json.items.map((session: SessionJson) => session.queuePosition);
  expect(await positions()).toEqual([2, 1]);
  expect((await call(api, "DELETE", `/v1/sessions/${first.json.id}`)).json.queuePosition).toBeNull();
  expect(await positions()).toEqual([1, null]);
  expect((await call(api, "GET", `/v1/sessions/${second.json.id}`)).json.queuePosition).toBe(1);
});

test("a new session wakes the planner, and makes no job", async () => {
  const api = await openApi();
  let rings = 0;
  const queue = new SessionQueue(api.redis, silent, patienceMs);
  const stopListening = new Bell(api.redis, "planning").listen(() => {
    rings += 1;
  });
  onTestFinished(async () => {
    stopListening();
    await queue.close();
  });
  await until("the planner's bell rings", 30, async () => {
    expect((await call(api, "POST", "/v1/sessions", small)).status).toBe(201);
    return rings > 0;
  });
  expect(await queue.counts()).toEqual({ waiting: 0, active: 0, delayed: 0 });
});

test("the same Idempotency-Key returns the same session; with another body it is refused", async () => {
  const api = await openApi();
  const headers = { "idempotency-key": "order-1" };
  const first = await call(api, "POST", "/v1/sessions", { ...small, headers });
  expect(first.status).toBe(201);
  expect(await call(api, "POST", "/v1/sessions", { ...small, headers })).toMatchObject({
    status: 200,
    json: first.json,
  });
  expect(await call(api, "POST", "/v1/sessions", { body: { tier: "large" }, headers })).toMatchObject({
    status: 422,
    json: { errors: [{ field: "Idempotency-Key" }] },
  });
});

test("a tenant sees only its own sessions", async () => {
  const api = await openApi();
  const { json } = await call(api, "POST", "/v1/sessions", small);
  const beta = { key: keyOf("beta") };
  for (const [method, path] of [
    ["GET", ""],
    ["DELETE", ""],
    ["POST", "/desktop-tickets"],
  ] as const) {
    expect(await call(api, method, `/v1/sessions/${json.id}${path}`, beta)).toMatchObject({
      status: 404,
      type: expect.stringContaining("application/problem+json"),
    });
  }
  expect((await call(api, "GET", "/v1/sessions", beta)).json).toEqual({ items: [], nextCursor: null });
  expect((await call(api, "GET", `/v1/sessions?cursor=${json.id}`, beta)).status).toBe(400);
});

test.each(["", "berth_acme_wrong", "berth_nobody_0123456789abcdef"])(
  "without a valid key (%j) the answer is 401",
  async (key) => {
    const api = await openApi();
    const answer = await call(api, "GET", "/v1/sessions", { key });
    expect(answer).toMatchObject({ status: 401, json: { title: "Unauthorized", status: 401 } });
    expect(answer.headers["www-authenticate"]).toBe("Bearer");
  },
);

test("a desktop ticket reads the state of its session, and nothing else", async () => {
  const api = await openApi();
  const { json } = await call(api, "POST", "/v1/sessions", small);
  const other = await call(api, "POST", "/v1/sessions", small);
  const made = await call(api, "POST", `/v1/sessions/${json.id}/desktop-tickets`);
  expect(made).toMatchObject({
    status: 201,
    json: { url: `http://berth.example/desktop/${json.id}#ticket=${made.json.ticket}` },
  });
  const key = made.json.ticket;
  expect((await call(api, "GET", `/v1/sessions/${json.id}`, { key })).json.id).toBe(json.id);
  expect((await call(api, "GET", `/v1/sessions/${other.json.id}`, { key })).status).toBe(401);
  expect((await call(api, "DELETE", `/v1/sessions/${json.id}`, { key })).status).toBe(401);
  expect((await call(api, "GET", "/v1/sessions", { key })).status).toBe(401);
});

const json = { "content-type": "application/json" };

test("bad input gets an answer that names the field and the rule, and never a 500", async () => {
  const api = await openApi();
  const cases: [
    InjectOptions["method"],
    string,
    { body?: unknown; headers?: Record<string, string> },
    number,
    string?,
  ][] = [
    ["POST", "/v1/sessions", { body: { tier: "huge" } }, 400, "tier"],
    ["POST", "/v1/sessions", { body: {} }, 400, "tier"],
    ["POST", "/v1/sessions", { body: { tier: "small", colour: "red" } }, 400, "colour"],
    ["POST", "/v1/sessions", { body: [] }, 400, "body"],
    ["POST", "/v1/sessions", {}, 400, "body"],
    ["POST", "/v1/sessions", { body: "null", headers: json }, 400, "body"],
    ["POST", "/v1/sessions", { ...small, headers: { "idempotency-key": "with space" } }, 400, "Idempotency-Key"],
    ["POST", "/v1/sessions", { ...small, headers: { "idempotency-key": "x".repeat(201) } }, 400, "Idempotency-Key"],
    ["POST", "/v1/sessions", { body: "{", headers: json }, 400],
    ["POST", "/v1/sessions", { body: "", headers: json }, 400],
    ["POST", "/v1/sessions", { body: '{"tier":"small","__proto__":{}}', headers: json }, 400],
    [
      "POST",
      "/v1/sessions",
      { body: "tier=small", headers: { "content-type": "application/x-www-form-urlencoded" } },
      415,
    ],
    ["POST", "/v1/sessions", { body: JSON.stringify({ tier: "x".repeat(100_000) }), headers: json }, 413],
    ["GET", "/v1/sessions?limit=0", {}, 400, "limit"],
    ["GET", "/v1/sessions?limit=101", {}, 400, "limit"],
    ["GET", "/v1/sessions?limit=1&limit=2", {}, 400, "limit"],
    ["GET", "/v1/sessions?cursor=abc", {}, 400, "cursor"],
    ["GET", "/v1/sessions/abc", {}, 400, "id"],
    ["GET", "/v1/sessions/%00", {}, 400, "id"],
    ["GET", "/v1/sessions/%zz", {}, 400],
    ["GET", "/v1/sessions/00000000-0000-0000-0000-000000000000", {}, 404],
    ["GET", "/nothing/here", {}, 404],
    ["PUT", "/v1/sessions", {}, 404],
  ];
  for (const [method, url, options, status, field] of cases) {
    const answer = await call(api, method, url, options);
    const what = `${method} ${url} ${JSON.stringify(options).slice(0, 80)}`;
    expect(answer.status, what).toBe(status);
    expect(answer.type, what).toContain("application/problem+json");
    expect(answer.json, what).toMatchObject({
      type: "about:blank",
      title: expect.any(String),
      status,
      detail: expect.any(String),
    });
    if (field !== undefined) expect(answer.json.errors, what).toEqual([{ field, rule: expect.stringMatching(/.+/) }]);
    else expect(JSON.stringify(answer.json), what).not.toMatch(/\bat .*\.(ts|js):/);
  }
});

test("without Redis the API still accepts sessions and stays ready", async () => {
  const api = await openApi({ REDIS_PORT: 1 });
  expect((await call(api, "POST", "/v1/sessions", small)).status).toBe(201);
  expect(await call(api, "GET", "/health/ready", { key: "" })).toMatchObject({
    status: 200,
    json: { status: "degraded", details: { redis: { status: "degraded" }, postgres: { status: "up" } } },
  });
  expect((await call(api, "GET", "/metrics", { key: "" })).status).toBe(200);
});

test("health and metrics need no key, and no metric contains a session's id", async () => {
  const api = await openApi();
  const { json: made } = await call(api, "POST", "/v1/sessions", small);
  await call(api, "GET", `/v1/sessions/${made.id}`);
  for (const path of ["startup", "live", "ready"]) {
    expect((await call(api, "GET", `/health/${path}`, { key: "" })).status).toBe(200);
  }
  const metrics = (await api.app.inject("/metrics")).body;
  expect(metrics).toContain('http_requests_total{method="GET",route="/v1/sessions/:id",status="200"} 1');
  expect(metrics).toContain('bullmq_waiting_jobs{queue="agent-sessions"}');
  expect(metrics).not.toContain(made.id);
});
