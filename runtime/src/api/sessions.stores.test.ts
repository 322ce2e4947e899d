/** The API's calls below /v1/sessions. */
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import pg from "pg";
import { expect, onTestFinished, test, vi } from "vitest";
import { podTemplateHash } from "../domain/podTemplateHash.ts";
import { findImage, type PodImages } from "../domain/sessionImages.ts";
import type { SessionEvent } from "../domain/states/state.ts";
import type { Bell } from "../queue/bell.ts";
import { Claims } from "../queue/claims.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { call, fakeCluster, listen, type OpenApi, openApi } from "../testing/api.ts";
import { adminKey, keyOf, tenant } from "../testing/fixtures.ts";
import { PLANNING_BELL, POD_IMAGES } from "./tokens.ts";

const small = { body: { tier: "small" } };
const worker = { name: "worker" };

async function apply({ store }: OpenApi, id: string, ...events: SessionEvent[]): Promise<void> {
  for (const event of events) {
    const seen = await store.queries.find(id);
    if (seen !== undefined) await store.commands.apply(seen, event, worker);
  }
}
const running: SessionEvent[] = [{ type: "admitted" }, { type: "ready", podIp: "10.0.0.1" }];
const create = async (api: OpenApi, body: object = {}) =>
  (await call(api, "POST", "/v1/sessions", { body: { tier: "small", ...body } })).json;

test("a session's task is stored for its agent, and shown to nobody else", async () => {
  const api = await openApi();
  const made = await create(api, {
    labels: { team: "blue", "example.com/run": "7" },
    command: ["python3", "-c", "print('hi')"],
    env: { MODE: "fast\nand good" },
    secrets: { API_TOKEN: "S3CRET" },
    idleTimeoutSeconds: 600,
    maxLifetimeSeconds: 3600,
  });
  expect(made).toMatchObject({
    labels: { team: "blue", "example.com/run": "7" },
    idleTimeoutSeconds: 600,
    maxLifetimeSeconds: 3600,
  });
  expect(await api.store.tasks.of(made.id)).toEqual({
    command: ["python3", "-c", "print('hi')"],
    env: { MODE: "fast\nand good" },
    secrets: { API_TOKEN: "S3CRET" },
  });
  const everything = [
    await call(api, "GET", `/v1/sessions/${made.id}`),
    await call(api, "GET", "/v1/sessions"),
    await call(api, "GET", `/v1/sessions/${made.id}/events?follow=false`),
  ];
  expect(JSON.stringify(everything)).not.toContain("S3CRET");
});

const images = [
  { name: "browser", image: "browser@sha256:1", desktop: true },
  { name: "node", image: "node@sha256:1", command: ["node", "server.js"], warmPools: { small: 1 } },
];

test("a session names one of its tenant's images, and the answer says whether the session has a desktop", async () => {
  const api = await openApi({}, [tenant("acme", { images })]);
  const own = await create(api);
  const self = `http://berth.example/v1/sessions/${own.id}`;
  const desktop = `http://berth.example/desktop/${own.id}`;
  expect(own).toMatchObject({ image: null, desktop: true, links: { self, desktop } });
  expect(await create(api, { image: "browser" })).toMatchObject({ image: "browser", desktop: true });
  const node = await create(api, { image: "node" });
  expect(node).toMatchObject({ image: "node", desktop: false, links: { desktop: null } });
  expect((await call(api, "GET", `/v1/sessions/${node.id}`)).json).toEqual(node);
  expect((await call(api, "GET", "/v1/tenants/acme")).json.images).toEqual([
    { name: "browser", image: "browser@sha256:1", desktop: true, warmPools: { small: 0, medium: 0, large: 0 } },
    { name: "node", image: "node@sha256:1", desktop: false, warmPools: { small: 1, medium: 0, large: 0 } },
  ]);
});

test("the metric of warm claims counts by image", async () => {
  const platform = { small: 1, medium: 0, large: 0 };
  const api = await openApi({}, [tenant("acme", { images, warmPools: platform })]);
  await create(api, { image: "node" });
  await create(api, {});
  const { values } = await api.app.get(Metrics).warmClaims.get();
  expect(values.map(({ labels, value }) => [labels, value])).toEqual([
    [{ image: "node", tier: "small", outcome: "miss" }, 1],
    [{ image: "", tier: "small", outcome: "miss" }, 1],
  ]);
});

/** Opens an API with one warm session that runs, and returns the session's id too. */
async function openWithWarmSession(): Promise<OpenApi & { id: string }> {
  const acme = tenant("acme", { warmPools: { small: 1 } });
  const api = await openApi({}, [acme]);
  const { id } = await create(api, {});
  const podImages = api.app.get<PodImages>(POD_IMAGES);
  const image = findImage(acme, podImages, null);
  const warm = image && podTemplateHash(podImages, image, acme);
  await api.database.updateTable("sessions").set({ state: "running", pod_ip: "10.0.0.1", warm }).execute();
  return { ...api, id };
}

test("a claim through the API is answered after one statement, and its task can be read before it is bound", async () => {
  const { id, ...api } = await openWithWarmSession();
  // While the test holds this lock, no statement can change a session that users see.
  await sql`
    create function hold() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(1); return new; end $$;
    create trigger hold before update on sessions for each row when (old.warm is null) execute function hold()`.execute(
    api.database,
  );
  const task = { command: ["make", "it"], env: {}, secrets: { API_KEY: "hunter2" } };
  const taskId = async () =>
    (await api.database.selectFrom("sessions").select("task_id").executeTakeFirstOrThrow()).task_id;
  await api.database.connection().execute(async (holder) => {
    await sql`select pg_advisory_lock(1)`.execute(holder);
    const query = vi.spyOn(pg.Query.prototype, "submit");
    const claimed = await create(api, task);
    const sent = query.mock.contexts.map((one) => (one as { text: string }).text);
    query.mockRestore();
    expect(claimed).toMatchObject({ id, state: "running" });
    expect(sent.filter((text) => !text.includes("as bound"))).toEqual([expect.stringContaining("skip locked")]);
    expect(await taskId()).not.toBeNull();
    expect(await api.store.tasks.of(id)).toEqual(task);
    await sql`select pg_advisory_unlock(1)`.execute(holder);
  });
  await until("the task is bound", 30, taskId, (bound) => bound === null);
  expect(await api.store.tasks.of(id)).toEqual(task);
});

test("a claim is announced to the pod's process and to the worker, and causes no reconcile and no planning", async () => {
  const { id, ...api } = await openWithWarmSession();
  const trigger = vi.spyOn(api.app.get(SessionQueue), "trigger");
  const ring = vi.spyOn(api.app.get<Bell>(PLANNING_BELL), "ring");
  const announced: string[] = [];
  onTestFinished(api.app.get(Claims).listen((claimed) => announced.push(claimed)));
  await until(
    "the test gets messages about claims",
    30,
    () => api.redis.pubsub("NUMSUB", "berth:claimed"),
    ([, count]) => Number(count) > 0,
  );
  expect(await create(api, {})).toMatchObject({ id, state: "running" });
  await until("the claim is announced", 30, () => announced.length > 0);
  expect(announced).toEqual([id]);
  expect([trigger.mock.calls, ring.mock.calls]).toEqual([[], []]);
  expect(await create(api, {})).toMatchObject({ state: "queued" });
  expect([trigger.mock.calls, ring.mock.calls]).toEqual([[], [[]]]);
});

test("a session's command is its own, or else the one of its image in the config", async () => {
  const api = await openApi({}, [tenant("acme", { images })]);
  const commandOf = async (body: object) => {
    const task = await api.store.tasks.of((await create(api, body)).id);
    return typeof task === "object" ? task.command : task;
  };
  expect(await commandOf({ image: "node" })).toEqual(["node", "server.js"]);
  expect(await commandOf({ image: "node", command: ["node", "-v"] })).toEqual(["node", "-v"]);
  expect(await commandOf({ image: "browser" })).toBeNull();
});

test("another tenant's image is refused with the list of own images, and an Idempotency-Key includes the image", async () => {
  const api = await openApi({}, [tenant("acme", { images }), tenant("beta")]);
  const ask = (tenant: string, image: unknown, headers = {}) =>
    call(api, "POST", "/v1/sessions", { key: keyOf(tenant), body: { tier: "small", image }, headers });
  const refusal = (rule: string) => ({ status: 400, json: { errors: [{ field: "image", rule }] } });
  expect(await ask("acme", "Browser")).toMatchObject(refusal("must be one of browser, node"));
  expect(await ask("beta", "browser")).toMatchObject(refusal("must be left out: the tenant has no images of its own"));
  expect(await ask("acme", 7)).toMatchObject(refusal("must be text"));
  const headers = { "idempotency-key": "once" };
  expect((await ask("acme", "node", headers)).status).toBe(201);
  expect((await ask("acme", "node", headers)).status).toBe(200);
  expect((await ask("acme", "browser", headers)).status).toBe(422);
});

test("no desktop ticket can be made for a session without a desktop", async () => {
  const api = await openApi({}, [tenant("acme", { images })]);
  const { id } = await create(api, { image: "node" });
  expect(await call(api, "POST", `/v1/sessions/${id}/desktop-tickets`)).toMatchObject({
    status: 409,
    type: expect.stringContaining("application/problem+json"),
    json: { detail: "The session has no desktop, because its image node has none." },
  });
});

test.each([
  ["it may have none", { maxSessions: 0 }, "its config has maxSessions: 0"],
  [
    "it has no quota for one",
    { quota: { ...tenant("acme").quota, pods: 0 } },
    "exceeds the whole quota of acme (pods)",
  ],
])("a tenant that can't have a session is told so: %s", async (_, changes, detail) => {
  const api = await openApi({}, [tenant("acme", changes)]);
  expect(await create(api)).toMatchObject({ status: 403, detail: expect.stringContaining(detail) });
  expect(await api.store.counts.byTenantAndState()).toEqual([]);
});

test("a session's lifetime and idle time are limited by its tenant's", async () => {
  const api = await openApi({}, [tenant("acme", { maxLifetimeSeconds: 3600, idleTimeoutSeconds: 600 })]);
  expect(await create(api)).toMatchObject({ maxLifetimeSeconds: 3600, idleTimeoutSeconds: 600 });
  expect(await create(api, { maxLifetimeSeconds: 60 })).toMatchObject({ maxLifetimeSeconds: 60 });
  expect(await create(api, { maxLifetimeSeconds: 3601, idleTimeoutSeconds: 601 })).toMatchObject({
    status: 400,
    errors: [
      { field: "idleTimeoutSeconds", rule: "must be at most 600, the tenant's limit" },
      { field: "maxLifetimeSeconds", rule: "must be at most 3600, the tenant's limit" },
    ],
  });
});

test("sessions are filtered by state, tier and labels", async () => {
  const api = await openApi();
  const [a, b] = [
    await create(api, { labels: { team: "blue", n: "1" } }),
    await create(api, { labels: { team: "blue" } }),
  ];
  const c = (await call(api, "POST", "/v1/sessions", { body: { tier: "large", labels: { note: "x=y" } } })).json;
  await apply(api, a.id, ...running);
  const found = async (query: string) =>
    (await call(api, "GET", `/v1/sessions?${query}`)).json.items.map(({ id }: { id: string }) => id);
  expect(await found("state=running")).toEqual([a.id]);
  expect(await found("state=running&state=queued")).toEqual([c.id, b.id, a.id]);
  expect(await found("tier=large")).toEqual([c.id]);
  expect(await found("label=team=blue")).toEqual([b.id, a.id]);
  expect(await found("label=team=blue&label=n=1")).toEqual([a.id]);
  expect(await found("label=note=x%3Dy")).toEqual([c.id]);
});

test("with a full queue, new sessions are refused, and the answer says when to try again", async () => {
  const api = await openApi({ BACKLOG_LIMIT: 2 });
  await create(api);
  const { id } = await create(api);
  expect(await call(api, "POST", "/v1/sessions", small)).toMatchObject({
    status: 429,
    headers: { "retry-after": "30" },
  });
  expect((await call(api, "POST", "/v1/sessions", { ...small, key: keyOf("beta") })).status).toBe(201);
  await apply(api, id, ...running);
  expect((await call(api, "POST", "/v1/sessions", small)).status).toBe(201);
});

test("wait=running answers when the session is running, or never will be", async () => {
  const api = await openApi();
  for (const [events, state] of [
    [running, "running"],
    [[{ type: "admitted" }, { type: "fail", cause: "rejected", reason: "No such image" }], "stopping"],
  ] as [SessionEvent[], string][]) {
    const answer = call(api, "POST", "/v1/sessions?wait=running", small);
    let answered = false;
    void answer.then(() => (answered = true));
    const { id } = await until("the session is made", 30, async () => {
      const page = await api.store.queries.list("acme", { limit: 1, states: ["queued"] });
      return page?.items[0];
    });
    expect(answered).toBe(false);
    await apply(api, id, ...events);
    expect(await answer).toMatchObject({ status: 201, json: { id, state } });
  }
});

test("suspend, resume, extend, touch and delete do what the state allows", async () => {
  const api = await openApi({}, [tenant("acme", { maxLifetimeSeconds: 3600 })]);
  const { id } = await create(api, { maxLifetimeSeconds: 1000 });
  const post = (what: string, body?: object) =>
    call(api, "POST", `/v1/sessions/${id}/${what}`, body === undefined ? {} : { body });
  expect(await post("suspend")).toMatchObject({ status: 409, json: { detail: expect.stringContaining("queued") } });
  await apply(api, id, ...running);
  expect(await post("suspend")).toMatchObject({ status: 202, json: { state: "suspending" } });
  expect(await post("resume")).toMatchObject({ status: 202 });
  await apply(api, id, { type: "vacated" }, ...running);
  expect(await post("extend", { seconds: 500 })).toMatchObject({ status: 200, json: { maxLifetimeSeconds: 1500 } });
  expect(await post("extend", { seconds: 5000 })).toMatchObject({ status: 200, json: { maxLifetimeSeconds: 3600 } });
  expect(await post("extend", { seconds: 1 })).toMatchObject({ status: 409 });
  expect(await post("touch")).toMatchObject({ status: 204 });
  expect((await call(api, "DELETE", `/v1/sessions/${id}`)).status).toBe(202);
  expect(await post("extend", { seconds: 1 })).toMatchObject({ status: 409 });
  expect(await post("resume")).toMatchObject({ status: 409 });
});

test("tickets are to use a desktop or to look at it, for as long as was asked for", async () => {
  const api = await openApi();
  const { id } = await create(api);
  const issue = (body?: object) =>
    call(api, "POST", `/v1/sessions/${id}/desktop-tickets`, body === undefined ? {} : { body });
  const start = Date.now();
  const expectLifetime = (expiresAt: string, seconds: number) => {
    expect(Date.parse(expiresAt)).toBeGreaterThan(start + (seconds - 1) * 1000); // it expires at a full second
    expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.now() + seconds * 1000);
  };
  const plain = (await issue()).json;
  expect(plain.mode).toBe("interactive");
  expectLifetime(plain.expiresAt, 300);
  const view = (await issue({ mode: "view", lifetimeSeconds: 3600 })).json;
  expect(view.mode).toBe("view");
  expectLifetime(view.expiresAt, 3600);
  expect(await issue({ mode: "own" })).toMatchObject({ status: 400, json: { errors: [{ field: "mode" }] } });
  expect(await issue({ lifetimeSeconds: 86_400 })).toMatchObject({ json: { errors: [{ field: "lifetimeSeconds" }] } });
});

interface Message {
  id: string;
  type: string;
  state: string;
  sessionId: string;
}

/**
 * Reads events from the URL until `enough`, then disconnects. Calls `listens` at each comment of the stream; the
 * first comment means that the stream is open.
 */
async function read(
  url: string,
  enough: (events: Message[]) => boolean,
  headers: Record<string, string> = {},
  listens: () => void = () => {},
) {
  const response = await fetch(url, { headers: { authorization: `Bearer ${keyOf("acme")}`, ...headers } });
  const events: Message[] = [];
  let text = "";
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop() ?? "";
    for (const block of blocks) {
      if (block.startsWith(":")) listens();
      const [, id, data] = /^id: (.*)\ndata: (.*)$/.exec(block) ?? [];
      if (data === undefined) continue;
      expect(JSON.parse(data).id).toBe(id);
      events.push(JSON.parse(data));
    }
    if (enough(events)) break;
  }
  return { status: response.status, type: response.headers.get("content-type"), events };
}
const never = () => false;

test("a session's events arrive as they happen, continue after Last-Event-ID, and end with the session", async () => {
  const api = await openApi();
  const { id } = await create(api);
  const url = `${await listen(api)}/v1/sessions/${id}/events`;
  const all = read(url, never);
  await apply(api, id, ...running);
  const first = await read(url, (events) => events.length >= 2);
  expect(first.type).toBe("text/event-stream");
  expect(first.events.slice(0, 2).map(({ type }) => type)).toEqual(["created", "admitted"]);
  const rest = read(url, never, { "last-event-id": first.events[1]?.id ?? "" });
  await apply(api, id, { type: "stop", cause: "user", reason: "Enough" }, { type: "gone", keepSeconds: 0 });
  expect((await rest).events.map(({ type }) => type)).toEqual(["ready", "stop", "gone"]);
  const { events } = await all;
  expect(events.map(({ state }) => state)).toEqual(["queued", "starting", "running", "stopping", "stopped"]);

  expect((await read(url, never)).events).toEqual(events);
  expect((await read(url, never, { "last-event-id": events.at(-1)?.id ?? "" })).status).toBe(204);
});

test("a tenant's events are its own, from now on or after Last-Event-ID, each once however fast they come", async () => {
  const api = await openApi();
  const before = await create(api);
  const url = `${await listen(api)}/v1/events`;
  let listening = 0;
  const readers = [1, 2, 3].map(() =>
    read(
      url,
      (events) => events.length >= 40,
      {},
      () => (listening += 1),
    ),
  );
  await until(
    "all streams are open",
    30,
    () => listening,
    (count) => count === readers.length,
  );
  const made = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      await call(api, "POST", "/v1/sessions", { ...small, key: keyOf("beta") });
      return index >= 0 ? ((await create(api)).id as string) : "";
    }),
  );
  for (const reader of readers) {
    const { events } = await reader;
    expect(events.map(({ sessionId }) => sessionId).sort()).toEqual([...made].sort());
    const ids = events.map(({ id }) => Number(id));
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
  }
  const again = await read(url, (events) => events.length >= 41, { "last-event-id": "0" });
  expect(again.events[0]?.sessionId).toBe(before.id);
});

test("a shutdown ends long answers and answers calls that wait", async () => {
  const api = await openApi();
  const { id } = await create(api);
  const origin = await listen(api);
  let heard = 0;
  const reader = read(`${origin}/v1/sessions/${id}/events`, (events) => {
    heard = events.length;
    return false;
  });
  const waiting = fetch(`${origin}/v1/sessions?wait=running`, {
    method: "POST",
    headers: { authorization: `Bearer ${keyOf("acme")}`, "content-type": "application/json" },
    body: JSON.stringify({ tier: "small" }),
  });
  const sessions = async () => (await api.store.queries.list("acme", { limit: 10 }))?.items;
  await until("the second session is made", 30, sessions, (items) => items?.length === 2);
  await until(
    "the first event has arrived",
    30,
    () => heard,
    (count) => count === 1,
  );
  const short = Array.from({ length: 20 }, () =>
    fetch(`${origin}/v1/sessions`, { headers: { authorization: `Bearer ${keyOf("acme")}` } }).catch(() => undefined),
  );
  await api.app.close();
  await Promise.all(short);
  expect((await reader).events.map(({ type }) => type)).toEqual(["created"]);
  expect((await waiting).status).toBe(201);
});

test("the agent's log is the pod's log; without a pod there is no log", async () => {
  let asked = "";
  await fakeCluster((path) => {
    asked = path;
    return path.includes("missing") ? { status: 404, body: "{}" } : { status: 200, body: "one\ntwo\n" };
  });
  const api = await openApi();
  const { id } = await create(api);
  const logs = (query = "") =>
    api.app.inject({ url: `/v1/sessions/${id}/logs${query}`, headers: { authorization: `Bearer ${keyOf("acme")}` } });
  expect((await logs()).statusCode).toBe(409);
  await apply(api, id, ...running);
  const answer = await logs("?tail=2&timestamps=true");
  expect(answer.statusCode).toBe(200);
  expect(answer.headers["content-type"]).toBe("text/plain; charset=utf-8");
  expect(answer.body).toBe("one\ntwo\n");
  expect(asked).toBe(
    `/api/v1/namespaces/tenant-acme/pods/agent-${id}/log?container=agent&follow=false&tailLines=2&timestamps=true`,
  );
});

test("after the session's end its tenant gets the stored log, with or without times", async () => {
  const api = await openApi();
  const [{ id }, other] = [await create(api), await create(api)];
  const stop: SessionEvent = { type: "fail", cause: "agent-error", reason: "The agent exited with code 2" };
  for (const one of [id, other.id]) await apply(api, one, ...running, stop, { type: "gone", keepSeconds: 0 });
  await api.store.logs.keep(id, "2026-11-28T11:00:00Z one\n2026-11-28T11:00:01Z two\n");
  const logs = (session: string, query = "", key = keyOf("acme")) =>
    api.app.inject({ url: `/v1/sessions/${session}/logs${query}`, headers: { authorization: `Bearer ${key}` } });
  const answer = await logs(id);
  expect([answer.statusCode, answer.headers["content-type"]]).toEqual([200, "text/plain; charset=utf-8"]);
  expect(answer.body).toBe("one\ntwo\n");
  expect((await logs(id, "?tail=1&timestamps=true&follow=true")).body).toBe("2026-11-28T11:00:01Z two\n");
  expect((await logs(id, "?tail=0")).body).toBe("");
  expect((await logs(id, "", keyOf("beta"))).statusCode).toBe(404);
  const none = await logs(other.id);
  expect([none.statusCode, none.json().detail]).toEqual([
    409,
    "The session is failed, and its log is not stored any more.",
  ]);
});

test.each([
  [404, 409],
  [400, 409],
  [403, 503],
  [500, 503],
])("Kubernetes' %i for a log becomes our %i, with a text for users", async (theirs, ours) => {
  await fakeCluster(() => ({ status: theirs, body: JSON.stringify({ message: "SECRET INTERNALS" }) }));
  const api = await openApi();
  const { id } = await create(api);
  await apply(api, id, ...running);
  const answer = await call(api, "GET", `/v1/sessions/${id}/logs`);
  expect(answer.status).toBe(ours);
  expect(JSON.stringify(answer.json)).not.toContain("INTERNALS");
});

test("usage is seconds by tenant, day and tier; a tenant sees its own, the admin all", async () => {
  const api = await openApi();
  const { id } = await create(api);
  await apply(api, id, ...running, { type: "stop", cause: "user", reason: "" });
  // Moves the session to yesterday, with a minute between its events, so that a midnight during the test changes nothing.
  const today = () => new Date().toISOString().slice(0, 10);
  const day = new Date(Date.parse(today()) - 86_400_000).toISOString().slice(0, 10);
  const begin = sql`${day}::date::timestamp at time zone 'UTC'`;
  await sql`update sessions set created_at = ${begin}`.execute(api.database);
  await sql`
    update session_events as event set at = ${begin} + interval '1 minute' * (
      select count(*) from session_events as earlier where earlier.id < event.id
    )`.execute(api.database);
  const days = [today()];
  const own = (await call(api, "GET", "/v1/usage")).json;
  days.push(today());
  expect(days).toContain(own.to);
  expect(own.items).toEqual([{ tenant: "acme", day, tier: "small", seconds: 60 }]);
  const all = (await call(api, "GET", `/v1/usage?from=${day}&to=${own.to}`, { key: adminKey })).json;
  expect(all.items).toEqual(own.items);
  expect((await call(api, "GET", "/v1/usage?tenant=acme", { key: keyOf("beta") })).status).toBe(400);
  expect((await call(api, "GET", "/v1/usage?from=2020-01-01", { key: adminKey })).json.errors[0].field).toBe("from");
});
