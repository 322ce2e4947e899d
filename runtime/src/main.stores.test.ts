/** The roles as separate processes with a real Postgres and Redis: their start, and their end on SIGTERM. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { Agent, createServer, get, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { sessionToken } from "./channel/token.ts";
import { SessionQueue } from "./queue/sessionQueue.ts";
import { recordsOn } from "./store/records.ts";
import {
  cipher,
  emptyRedis,
  freshDatabase,
  keyOf,
  patienceMs,
  silent,
  tenant,
  tenantsFile,
} from "./testing/fixtures.ts";
import { freePorts } from "./testing/ports.ts";
import { build, dist, environment, kubeconfig, runProgram } from "./testing/program.ts";
import { workerJobs } from "./worker/sessionWorker.ts";

beforeAll(build);

const tokenKey = "0123456789abcdef0123456789abcdef";
/** An address of this machine where the desktop's port is free. */
const podIp = "127.66.0.1";

async function prepare(changes: Record<string, string> = {}) {
  const { name, database } = await freshDatabase();
  const env = await environment(name, tenantsFile(tenant("acme")), changes);
  const store = recordsOn(database, cipher, { generation: 0 });
  const queue = new SessionQueue(await emptyRedis(), silent, patienceMs);
  onTestFinished(() => queue.close());
  return {
    env,
    database,
    store,
    queue,
    url: (path: string) => `http://127.0.0.1:${env.HTTP_PORT}${path}`,
    async create(): Promise<string> {
      const made = await store.creation.create(
        { tenant: "acme", namespace: "tenant-acme", tier: "small" },
        { name: "test" },
      );
      if (typeof made === "string") throw new Error(made);
      return made.session.id;
    },
  };
}

/** Starts an HTTP server that answers each request with what `answer` returns. Returns the server's URL. */
async function serve(answer: (request: IncomingMessage, body: string) => Promise<{ status: number; body: unknown }>) {
  const server = createServer((request, response) => {
    void (async () => {
      const { status, body } = await answer(request, Buffer.concat(await request.toArray()).toString());
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    })().catch((error) => {
      // A process that ends may have sent only half of its request.
      if (error.code !== "ECONNRESET") throw error;
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/**
 * Listens on a free port of this machine, and forwards each connection to the given port of `host`. `cut` closes all
 * connections and the port.
 */
function relayTo(port: number, host: string) {
  const open = new Set<Socket>();
  let connections = 0;
  const server = createTcpServer((near) => {
    const far = connect(port, host);
    connections += 1;
    for (const socket of [near, far]) open.add(socket.on("error", () => {}));
    near.pipe(far).pipe(near);
  }).listen(0, "127.0.0.1");
  const cut = () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
  onTestFinished(cut);
  const listening = once(server, "listening").then(() => (server.address() as AddressInfo).port);
  return { port: listening, connections: () => connections, cut };
}

const authorization = { authorization: `Bearer ${keyOf("acme")}` };
/** A header for connections that are not kept open. A shutdown would wait for connections that are kept open. */
const unkept = { connection: "close" };
/** A call on its own connection. */
const callOnce = (url: string, headers: Record<string, string> = {}) =>
  fetch(url, { headers: { ...unkept, ...headers } });
/**
 * Repeats the request while the answer is 503. On a busy machine, Postgres or Redis may not answer within the few seconds that
 * a process waits.
 */
const unlessBusy = (url: string, request: () => Promise<Response>) =>
  until(`${url} answers`, 60, request, ({ status }) => status !== 503);
const call = (url: string, headers: Record<string, string> = {}) => unlessBusy(url, () => callOnce(url, headers));

/** Opens a desktop, as often as needed. */
const openDesktop = (url: string, headers: Record<string, string>) =>
  until(`${url} opens`, 60, async () => {
    const desktop = new WebSocket(url, ["binary"], { headers });
    await once(desktop, "open");
    return desktop;
  });
const ready = "stop being ready";
const steps = ["close the ports and finish requests and jobs", "send the traces", "close Postgres and Redis"];

test("on SIGTERM the API tells its desktops to connect again, finishes its requests and ends with 0", async () => {
  const desktops = new WebSocketServer({ port: 6080, host: podIp, handleProtocols: () => "binary" });
  await once(desktops, "listening");
  onTestFinished(() => void desktops.close());
  const kube = createServer((_request, response) => void response.writeHead(200).write("A line\n")).listen(
    0,
    "127.0.0.1",
  );
  await once(kube, "listening");
  onTestFinished(() => {
    kube.closeAllConnections();
    kube.close();
  });
  const { env, store, create, url } = await prepare();
  env.KUBECONFIG = kubeconfig(dirname(env.KUBECONFIG), `http://127.0.0.1:${(kube.address() as AddressInfo).port}`);
  const id = await create();
  for (const event of [{ type: "admitted" }, { type: "ready", podIp }] as const) {
    const session = await store.queries.find(id);
    if (session !== undefined) await store.commands.apply(session, event, { name: "test" });
  }
  const { child, log: logged, says, exit } = runProgram(["api"], env);
  await says("listening");
  expect((await call(url("/health/startup"))).status).toBe(200);
  expect((await call(url("/health/ready"))).status).toBe(200);

  // The session's token is valid only on the in-pod channel, which has its own port.
  const channel = `http://127.0.0.1:${env.SESSION_PORT}`;
  const token = { authorization: `Bearer ${sessionToken(tokenKey, id)}` };
  expect((await call(`${channel}/session/task`, token)).status).toBe(200);
  expect((await call(url("/session/task"), token)).status).toBe(404);
  expect((await call(url(`/v1/sessions/${id}`), token)).status).toBe(401);

  const desktop = await openDesktop(`ws://127.0.0.1:${env.HTTP_PORT}/v1/sessions/${id}/desktop`, authorization);
  await until(
    "the desktop is connected",
    30,
    () => desktops.clients.size,
    (size) => size === 1,
  );
  // These requests use connections that the client would keep open.
  const [events, log] = await Promise.all(
    ["/v1/events", `/v1/sessions/${id}/logs?follow=true`].map((path) =>
      unlessBusy(path, () => fetch(url(path), { headers: authorization })),
    ),
  );
  expect([events?.status, log?.status]).toEqual([200, 200]);
  const texts = Promise.all([events?.text(), log?.text()]);
  const closed = once(desktop, "close");
  const kept = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async () => {
    const [response] = (await once(get(url("/v1/openapi.json"), { agent: kept }), "response")) as [IncomingMessage];
    const { statusCode, headers, socket } = response;
    const { localPort } = socket;
    await response.toArray();
    return { status: statusCode, connection: headers.connection, keepAlive: headers["keep-alive"], port: localPort };
  };
  const first = await ask();
  // Clients have to close idle connections within the time of a shutdown. Otherwise the shutdown could close a
  // connection just when a client sends a request.
  expect(first.keepAlive).toBe("timeout=5");
  child.kill("SIGTERM");
  await until("it isn't ready any more", 30, logged, (lines) => lines.some(({ step }) => step === ready));
  // An open connection serves one more request, and the answer asks the client to close it.
  expect(await ask()).toMatchObject({ status: 200, connection: "close", port: first.port });
  expect((await closed)[0]).toBe(1012);
  // The stream and the log end in order and are not cut.
  expect(await texts).toEqual([expect.stringContaining("retry: 2000"), "A line\n"]);
  expect(await exit).toBe(0);
  expect(
    logged()
      .filter(({ msg }) => msg === "shutdown")
      .map(({ step }) => step),
  ).toEqual([ready, "end the streams and WebSockets", "wait for clients to close their connections", ...steps]);
  // No client keeps a connection, so the shutdown does not wait for clients (http.test.ts).
  expect(logged().find(({ msg }) => msg === "connections that clients have not closed")).toMatchObject({
    connections: 0,
  });
  expect(logged().at(-1)).toMatchObject({ msg: "bye", role: "api" });
});

test("with SANDBOX_URL, the API serves sessions' ports on a separate port and closes it at the end", async () => {
  const [port = 0] = await freePorts(1);
  const { env, url } = await prepare({ SANDBOX_URL: "http://*.localhost:30090", SANDBOX_PORT: String(port) });
  const { child, says, exit } = runProgram(["api"], env);
  await says("listening");
  const host = "8000-6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11.localhost:30090";
  const ask = async (headers: Record<string, string>) => {
    const [response] = (await once(
      get({ port, host: "127.0.0.1", path: "/v1/openapi.json", headers }),
      "response",
    )) as [IncomingMessage];
    response.resume();
    return response.statusCode;
  };
  expect(await ask({ host })).toBe(401);
  expect(await ask({ host, "x-berth-token": keyOf("acme") })).toBe(404);
  expect(await ask({ host: "127.0.0.1" })).toBe(404); // the API is not served here
  expect((await call(url("/.berth/open"))).status).toBe(404);
  child.kill("SIGTERM");
  expect(await exit).toBe(0);
});

test("on SIGTERM the worker finishes its jobs, takes no other, and ends with 0", async () => {
  const asked = new Set<string>();
  /** Since when the server holds a call about each session, by `performance.now()`. */
  const open = new Map<string, number>();
  let isSlow = true;
  let wave = Promise.withResolvers<void>();
  /** Answers all calls that the server holds. While the server is slow, the calls that follow are held too. */
  const release = () => {
    open.clear();
    wave.resolve();
    wave = Promise.withResolvers();
  };
  // A Kubernetes API server that answers slowly about the sessions' objects, and has no objects.
  const server = await serve(async (request, body) => {
    const [, id] = /\bagent-([0-9a-f-]{36})/.exec(request.url + body) ?? [];
    if (id !== undefined) {
      asked.add(id);
      open.set(id, performance.now());
      request.socket.once("close", () => open.delete(id));
      if (isSlow) await wave.promise;
    }
    return {
      status: 404,
      body: { kind: "Status", apiVersion: "v1", status: "Failure", reason: "NotFound", code: 404 },
    };
  });
  const { env, create, database, queue } = await prepare();
  env.KUBECONFIG = kubeconfig(dirname(env.KUBECONFIG), server);
  const ids: string[] = [];
  for (let number = 0; number <= workerJobs; number += 1) ids.push(await create());
  const [late = "", ...early] = ids;
  await database.updateTable("sessions").set({ state: "starting" }).execute();
  const { child, log, says, exit } = runProgram(["worker"], env);
  await says("listening");
  // As long as each slot of the worker has a job, the worker does not wait for a job, so it can't receive one.
  for (const id of early) await queue.add(id);
  // A call that the server holds for 10 s fails, and then the worker has a free slot. So if the calls did not come within 3 s, for
  // example because the worker has just started, the server answers them, and the worker calls again at once.
  const areRecent = () => {
    if (open.size < workerJobs) return false;
    if (Math.min(...open.values()) > performance.now() - 3_000) return true;
    release();
    return false;
  };
  await until("the worker asks the API server about each session at the same time", 60, areRecent);
  child.kill("SIGTERM");
  await says("shutting down");
  await queue.add(late);
  isSlow = false;
  release();
  expect(await exit).toBe(0);
  expect(await queue.counts()).toMatchObject({ active: 0 });
  expect((await queue.counts()).waiting).toBeGreaterThan(0);
  expect([...asked].sort()).toEqual(early.sort());
  expect(
    log()
      .filter(({ msg }) => msg === "shutdown")
      .map(({ step }) => step),
  ).toEqual([ready, ...steps]);
});

test("a worker whose Redis goes away ends at once all the same", async () => {
  const { env } = await prepare();
  const between = relayTo(Number(env.REDIS_PORT), env.REDIS_HOST);
  env.REDIS_PORT = String(await between.port);
  const { child, log, says, exit } = runProgram(["worker"], env);
  await says("listening");
  await until("the queue is asked for jobs", 30, between.connections, (count) => count >= 3);
  between.cut();
  await says("Redis does not answer");
  child.kill("SIGTERM");
  expect(await exit).toBe(0);
  // Nothing waited for Redis: no step was cut short, and the queue did not wait until its connection was closed.
  const end = log().slice(log().findIndex(({ msg }) => msg === "shutting down"));
  expect(end.filter(({ step }) => step !== undefined).map(({ msg, step }) => `${msg}: ${step}`)).toEqual(
    [ready, ...steps].map((step) => `shutdown: ${step}`),
  );
  expect(end.map(({ msg }) => msg)).not.toContain(
    "the queue's connection was closed before Redis knew that the jobs are done",
  );
});

test("a signal ends a role that loads its packages or waits for its database", async () => {
  const { env } = await prepare();
  const spy = `import { registerHooks } from "node:module";
    registerHooks({
      load(url, context, next) {
        if (url.endsWith("/dist/packages.js")) process.kill(process.pid, "SIGTERM");
        return next(url, context);
      },
    });`;
  const loading = runProgram(["api"], env, ["--import", `data:text/javascript,${encodeURIComponent(spy)}`]);
  // The API may be listening before Node handles the signal; then the API shuts down in order, with 0.
  expect([0, 143]).toContain(await loading.exit);
  const waiting = runProgram(["migrate"], { ...env, POSTGRES_PORT: "1" });
  await waiting.says("the database does not answer yet");
  waiting.child.kill("SIGTERM");
  expect(await waiting.exit).toBe(143);
});

test("the clean-up marks workspaces past their retention, triggers reconciles, and ends; also without Redis", async () => {
  const { env, database, create, queue } = await prepare();
  for (const REDIS_PORT of [env.REDIS_PORT, "1"]) {
    const id = await create();
    await database
      .updateTable("sessions")
      .set({ state: "stopped", workspace_until: sql<Date>`now() - interval '1 second'` })
      .where("id", "=", id)
      .execute();
    const { exit, log } = runProgram(["cleanup"], { ...env, REDIS_PORT });
    expect(await exit).toBe(0);
    expect(log().at(-1)).toMatchObject({ role: "cleanup", workspaces: 1 });
  }
  expect((await queue.counts()).waiting).toBe(1);
});

test("all errors in the configuration are reported at once, one line each, and so is an unknown role", async () => {
  const { exit, output } = runProgram(["api"], { SECRETS_DIR: "/nothing", REDIS_TLS: "yes" });
  expect(await exit).toBe(1);
  const lines = output().trim().split("\n");
  expect(lines).toContain("POSTGRES_HOST: must be set");
  expect(lines).toContain("REDIS_TLS: must be true or false");
  expect(lines).toContain("secret file token-key in /nothing: can't be read (ENOENT)");
  const nobody = runProgram(["nobody"], {});
  expect(await nobody.exit).toBe(1);
  expect(nobody.output()).toBe("usage: main.js api|gateway|worker|migrate|cleanup\n");
});

interface Span {
  name: string;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
}

/** Starts a collector of traces. Returns the environment for processes that send spans, and a function that finds the spans. */
async function collectSpans() {
  const spans: (Span & { service: string })[] = [];
  const collector = await serve(async (_request, body) => {
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      const service = resource.attributes.find(({ key }: { key: string }) => key === "service.name").value.stringValue;
      for (const scope of scopeSpans) spans.push(...scope.spans.map((span: Span) => ({ ...span, service })));
    }
    return { status: 200, body: {} };
  });
  const ofTrace = (service: string) => spans.filter((span) => span.service === service && span.traceId === traceId);
  return { env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector, OTEL_BSP_SCHEDULE_DELAY: "100" }, ofTrace };
}

/** A caller's trace and span. */
const [traceId, callerSpan] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
const traced = { ...authorization, traceparent: `00-${traceId}-${callerSpan}-01` };

test("with an endpoint, a caller's trace continues through the API and the queue into the worker", async () => {
  const { env: ofTraces, ofTrace } = await collectSpans();
  const { env, url } = await prepare(ofTraces);
  const { HTTP_PORT } = await environment("", "");
  const [api, worker] = [runProgram(["api"], env), runProgram(["worker"], { ...env, HTTP_PORT })];
  await Promise.all([api.says("listening"), worker.says("listening")]);
  const answer = await unlessBusy("/v1/sessions", () =>
    fetch(url("/v1/sessions"), {
      method: "POST",
      headers: { ...unkept, ...traced, "content-type": "application/json" },
      body: JSON.stringify({ tier: "small" }),
    }),
  );
  expect(answer.status).toBe(201);
  const { id } = (await answer.json()) as { id: string };
  const ended = await unlessBusy(id, () =>
    fetch(url(`/v1/sessions/${id}`), { method: "DELETE", headers: { ...unkept, ...traced } }),
  );
  expect(ended.status).toBe(202);
  await until("the worker's part of the trace is here", 60, () => ofTrace("berth-worker").length > 0);
  for (const program of [api, worker]) program.child.kill("SIGTERM");
  expect(await Promise.all([api.exit, worker.exit])).toEqual([0, 0]);
  expect(ofTrace("berth-api").map(({ name }) => name)).toEqual(
    expect.arrayContaining(["POST /v1/sessions", "DELETE /v1/sessions/:id", "postgres"]),
  );
  expect(ofTrace("berth-api").find(({ name }) => name === "POST /v1/sessions")?.parentSpanId).toBe(callerSpan);
  expect(api.log().find(({ msg }) => msg === "request")).toMatchObject({ traceId, tenant: "acme" });
});

test("a caller's trace continues through the gateway into the API and into the session's pod", async () => {
  /**
   * The requests that reached the pod. Key: the last part of the path. Value: the span id in the `traceparent` header if the
   * trace is the caller's, else undefined.
   */
  const asked: Record<string, string | undefined> = {};
  const note = ({ url = "", headers: { traceparent } }: IncomingMessage) => {
    const [, trace, span] = String(traceparent).split("-");
    asked[url.replace(/.*\/|\?.*/g, "")] = trace === traceId ? span : undefined;
  };
  const pod = createServer((request, response) => {
    note(request);
    response.writeHead(200, { "content-type": "application/proto" }).end();
  }).listen(6082, podIp);
  const desktops = new WebSocketServer({ port: 6080, host: podIp, handleProtocols: () => "binary" });
  desktops.on("connection", (_desktop, request) => note(request));
  onTestFinished(() => {
    desktops.close();
    pod.close();
    pod.closeAllConnections();
  });
  await Promise.all([once(pod, "listening"), once(desktops, "listening")]);
  const { env: ofTraces, ofTrace } = await collectSpans();
  const { env, create, database, url: apiUrl } = await prepare(ofTraces);
  const { HTTP_PORT, WEBSOCKET_PORT, SESSION_PORT } = await environment("", "");
  const origin = `http://127.0.0.1:${HTTP_PORT}`;
  const id = await create();
  await database.updateTable("sessions").set({ state: "running", pod_ip: podIp }).execute();
  const api = runProgram(["api"], { ...env, GATEWAY_URL: origin });
  const ports = { HTTP_PORT, WEBSOCKET_PORT, SESSION_PORT };
  const gateway = runProgram(["gateway"], { ...env, ...ports, API_URL: apiUrl("") });
  await Promise.all([api.says("listening"), gateway.says("listening")]);
  const session = `${origin}/v1/sessions/${id}`;
  expect((await call(session, traced)).status).toBe(200);
  expect((await call(`${session}/ports`, traced)).status).toBe(200);
  await callOnce(`${session}/files?path=x`, traced); // this pod sends no file
  const desktop = await openDesktop(`${session.replace("http", "ws")}/desktop`, traced);
  await until("the pod was asked for all", 30, () => Object.keys(asked).length === 3);
  desktop.terminate();
  for (const program of [gateway, api]) program.child.kill("SIGTERM");
  expect(await Promise.all([api.exit, gateway.exit])).toEqual([0, 0]);

  const [ofApi, ofGateway] = [ofTrace("berth-api"), ofTrace("berth-gateway")];
  const called = (spans: Span[], name: string) => spans.find((span) => span.name === name);
  const forwarded = called(ofGateway, "forward GET");
  expect(forwarded?.parentSpanId).toBe(callerSpan);
  expect(called(ofApi, "GET /v1/sessions/:id")?.parentSpanId).toBe(forwarded?.spanId);
  for (const [request, call, path] of [
    ["GET /v1/sessions/:id/ports", "pod ports", "List"],
    ["GET /v1/sessions/:id/files", "pod read", "files"],
  ] as const) {
    expect(called(ofGateway, request)?.parentSpanId, request).toBe(callerSpan);
    expect(called(ofGateway, call)?.parentSpanId, call).toBe(called(ofGateway, request)?.spanId);
    expect(asked[path], path).toBe(called(ofGateway, call)?.spanId);
  }
  const opened = called(ofGateway, "WebSocket desktop");
  expect(opened?.parentSpanId).toBe(callerSpan);
  expect(called(ofGateway, "pod desktop")?.parentSpanId).toBe(opened?.spanId);
  expect(asked.websockify).toBe(opened?.spanId);
});

test("without an endpoint OpenTelemetry is not loaded", async () => {
  const { env } = await prepare();
  const spy = `import { registerHooks } from "node:module";
    registerHooks({ load(url, context, next) { console.log("loads " + url); return next(url, context); } });`;
  const { child, says, exit, output } = runProgram(["api"], env, [
    "--import",
    `data:text/javascript,${encodeURIComponent(spy)}`,
  ]);
  await says("listening");
  child.kill("SIGTERM");
  expect(await exit).toBe(0);
  expect(output()).toContain("dist/packages.js");
  expect(output()).not.toMatch(/loads .*(openTelemetry|bullmq-otel)/i);
  // These files have the packages that every start loads. They include OpenTelemetry's bare API, because the metrics
  // library reads the trace from that API.
  for (const file of ["main.js", "signals.js", "roles.js", "packages.js"])
    expect(await readFile(join(dist, file), "utf8"), file).not.toMatch(/opentelemetry\/(sdk|exporter|resources)/);
});

test("a separate gateway continues while the API is down, and on SIGTERM tells its desktops to connect again", async () => {
  const desktops = new WebSocketServer({ port: 6080, host: podIp, handleProtocols: () => "binary" });
  await once(desktops, "listening");
  onTestFinished(() => void desktops.close());
  const { env, store, create, url: apiUrl } = await prepare();
  const own = await environment("", "");
  const ports = { HTTP_PORT: own.HTTP_PORT, WEBSOCKET_PORT: own.WEBSOCKET_PORT, SESSION_PORT: own.SESSION_PORT };
  const url = (path: string) => `http://127.0.0.1:${own.HTTP_PORT}${path}`;
  const id = await create();
  for (const event of [{ type: "admitted" }, { type: "ready", podIp }] as const) {
    const session = await store.queries.find(id);
    if (session !== undefined) await store.commands.apply(session, event, { name: "test" });
  }
  const api = runProgram(["api"], { ...env, GATEWAY_URL: url("").replace(/\/$/, "") });
  const gateway = runProgram(["gateway"], { ...env, ...ports, API_URL: apiUrl("") });
  await Promise.all([api.says("listening"), gateway.says("listening")]);
  expect((await call(url("/v1/sessions"), authorization)).status).toBe(200);
  // If there is a separate gateway, the API does not serve the gateway's part.
  expect((await call(apiUrl(`/v1/sessions/${id}/events`), authorization)).status).toBe(404);
  const token = { authorization: `Bearer ${sessionToken(tokenKey, id)}` };
  for (const port of [own.SESSION_PORT, env.SESSION_PORT]) {
    expect((await call(`http://127.0.0.1:${port}/session/task`, token)).status).toBe(200);
  }
  const desktop = await openDesktop(`${url("").replace("http", "ws")}/v1/sessions/${id}/desktop`, authorization);
  const closed = once(desktop, "close");
  const events = await unlessBusy("/v1/events", () => fetch(url("/v1/events"), { headers: authorization }));

  api.child.kill("SIGKILL");
  await api.exit;
  expect((await callOnce(url("/v1/sessions"), authorization)).status).toBe(503);
  expect((await call(url(`/v1/sessions/${id.replace(/^./, "x")}/logs`), authorization)).status).toBe(400);
  expect((await call(url("/health/ready"))).status).toBe(200);
  expect(desktop.readyState).toBe(WebSocket.OPEN);

  gateway.child.kill("SIGTERM");
  expect((await closed)[0]).toBe(1012);
  expect(await events.text()).toContain("retry: 2000");
  expect(await gateway.exit).toBe(0);
  expect(gateway.log().at(-1)).toMatchObject({ msg: "bye", role: "gateway" });
});
