/** A separate gateway process in front of an API process: what the gateway forwards, and what it serves itself. */
import { once } from "node:events";
import { createServer, request as open, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@berth/testing/until.ts";
import { pino } from "pino";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { Streams } from "../api/http/streams.ts";
import type { Config } from "../config/config.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { listen, type OpenApi, openApi, openGateway } from "../testing/api.ts";
import { buildBerthd, runsHere, startBerthd } from "../testing/berthd.ts";
import { keyOf } from "../testing/fixtures.ts";
import { freePorts } from "../testing/ports.ts";
import { UpgradeForwarder } from "./upgradeForwarder.ts";

beforeAll(() => buildBerthd().then(() => {}));

/** A URL where nothing listens. */
const nowhere = "http://127.0.0.1:1";

async function openBoth(changes: Partial<Config> = {}) {
  const api = await openApi({ GATEWAY_URL: nowhere, ...changes });
  const direct = await listen(api);
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: "info" }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const gateway = await openGateway(api, direct, { logger });
  return { api, direct, gateway, lines };
}

interface Answer {
  status: number;
  headers: Record<string, unknown>;
  body: string;
}

/**
 * Sends a request to `origin` (the API or the gateway) without normalising the path. Unless `headers` says otherwise, the
 * request has the key of the tenant acme.
 */
async function ask(
  origin: string,
  method: string,
  path: string,
  { body, headers = {} }: { body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(origin);
  const call = open({
    hostname,
    port,
    method,
    path,
    agent: false,
    headers: { authorization: `Bearer ${keyOf("acme")}`, ...headers },
  });
  call.end(body);
  const [response] = await once(call, "response");
  return {
    status: response.statusCode,
    headers: response.headers,
    body: Buffer.concat(await response.toArray()).toString(),
  };
}

/** Starts a fake API for the test. Returns its URL. */
async function standIn(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const json = { "content-type": "application/json" };

test.each<[string, string, { body?: string; headers?: Record<string, string> }]>([
  ["GET", "/v1/sessions?limit=1", {}],
  ["GET", "/v1/sessions?limit=x&limit=y", {}],
  ["HEAD", "/v1/sessions", {}],
  ["GET", "/v1/sessions/00000000-0000-4000-8000-000000000000", {}],
  ["GET", "/v1/sessions/%2e%2e/usage/../x", {}],
  ["GET", "/v1/sessions/%ff", {}],
  ["GET", "/v1/sessions/%zz", {}],
  ["GET", "//nowhere.example/v1/sessions", {}],
  ["GET", "/v1/sessions", { headers: { authorization: "" } }],
  ["GET", "/v1/sessions", { headers: { authorization: "Bearer berth_acme_wrong" } }],
  ["POST", "/v1/sessions", { headers: json }],
  ["POST", "/v1/sessions", { headers: json, body: "{" }],
  ["POST", "/v1/sessions", { headers: json, body: '{"tier":"huge","more":1}' }],
  ["POST", "/v1/sessions", { headers: { "content-type": "text/plain" }, body: "x" }],
  ["POST", "/v1/sessions", { headers: { "content-type": "nonsense" }, body: "x" }],
  ["POST", "/v1/sessions", { headers: json, body: JSON.stringify("x".repeat(70_000)) }],
  ["PATCH", "/v1/sessions", { headers: json, body: "{}" }],
  ["PUT", "/v1/usage", { headers: { "transfer-encoding": "chunked", ...json }, body: "" }],
  ["OPTIONS", "/v1/sessions", {}],
  ["DELETE", "/v1/sessions/x", {}],
  ["GET", "/v1/sessions/00000000-0000-4000-8000-000000000000/desktop", {}],
  ["GET", "/v1/openapi.json", { headers: { "if-none-match": '"x"', te: "trailers", connection: "x-y", "x-y": "1" } }],
  ["GET", "/nothing", {}],
])("a call is answered as the API itself does: %s %s", async (method, path, options) => {
  const { direct, gateway } = await openBoth();
  const [itself, forwarded] = [
    await ask(direct, method, path, options),
    await ask(gateway.origin, method, path, options),
  ];
  const comparable = ({ status, headers, body }: Answer) => {
    // The gateway and the API differ in these headers.
    const differ = ["connection", "keep-alive", "date", "x-request-id", "ratelimit"];
    const same = Object.entries(headers).filter(([name]) => !differ.includes(name));
    return { status, headers: Object.fromEntries(same), body };
  };
  expect(comparable(forwarded)).toEqual(comparable(itself));
});

test("the API counts, logs and rate-limits a call once, under the caller's request id", async () => {
  const { api, gateway, lines } = await openBoth();
  const made = await ask(gateway.origin, "POST", "/v1/sessions", {
    body: '{"tier":"small"}',
    headers: { ...json, "x-request-id": "mine" },
  });
  expect(made.status).toBe(201);
  expect(made.headers["x-request-id"]).toBe("mine");
  const next = await ask(gateway.origin, "GET", "/v1/sessions");
  const left = ({ headers }: Answer) => Number(/r=(\d+)/.exec(String(headers.ratelimit))?.[1]);
  expect(left(next)).toBe(left(made) - 1);
  const counts = async (app: OpenApi["app"]) => (await app.get(Metrics).httpRequests.get()).values;
  expect(await counts(api.app)).toHaveLength(2);
  expect(await counts(gateway.app)).toEqual([]);
  expect(lines.filter(({ msg }) => msg === "request")).toEqual([]);
});

test("the gateway does not count a 5xx of the API again", async () => {
  const api = await openApi({ GATEWAY_URL: nowhere });
  const target = await standIn((_request, response) => void response.writeHead(500).end("{}"));
  const gateway = await openGateway(api, target);
  expect((await ask(gateway.origin, "GET", "/v1/sessions")).status).toBe(500);
  expect((await gateway.app.get(Metrics).httpRequests.get()).values).toEqual([]);
});

test("while the API is down, forwarded calls get a 503 that says what to do, and are counted", async () => {
  const api = await openApi();
  const gateway = await openGateway(api, nowhere);
  const answer = await ask(gateway.origin, "POST", "/v1/sessions", { headers: json, body: '{"tier":"small"}' });
  expect(answer).toMatchObject({
    status: 503,
    headers: { "content-type": "application/problem+json; charset=utf-8", "retry-after": "2" },
  });
  expect(JSON.parse(answer.body)).toEqual({
    type: "about:blank",
    title: "Service Unavailable",
    status: 503,
    detail: "The API can't be reached at the moment, and nothing was done. Please try again.",
  });
  const { values } = await gateway.app.get(Metrics).httpRequests.get();
  expect(values).toMatchObject([{ value: 1, labels: { method: "POST", route: "/*", status: 503 } }]);
  expect((await ask(gateway.origin, "GET", "/health/ready")).status).toBe(200);
});

test("if the API closes before its answer, the caller gets 502; a reading call on a reused connection is sent again", async () => {
  const api = await openApi();
  let calls = 0;
  const used = new WeakSet();
  const target = await standIn((request, response) => {
    calls += 1;
    if (request.url === "/v1/lost" || used.has(request.socket)) return void request.socket.destroy();
    used.add(request.socket);
    response.end("{}");
  });
  const gateway = await openGateway(api, target);
  const lost = await ask(gateway.origin, "POST", "/v1/lost", { headers: json, body: "{}" });
  expect(lost).toMatchObject({ status: 502, headers: { "retry-after": "2" } });
  expect(JSON.parse(lost.body).detail).toMatch(/may have done what the request asked/);
  expect(calls).toBe(1);
  expect((await ask(gateway.origin, "GET", "/v1/usage")).status).toBe(200);
  expect((await ask(gateway.origin, "GET", "/v1/usage")).status).toBe(200);
  expect(calls).toBe(4);
});

test.each([
  ["of a proxy that the gateway believes", ["127.0.0.1/32"], { "x-forwarded-for": "192.0.2.7" }, "192.0.2.7"],
  ["of nobody who is believed", [], { "x-forwarded-for": "192.0.2.7" }, "127.0.0.1"],
  ["of one who claims to be the gateway", [], { "x-forwarded-for": "192.0.2.7", "x-berth-peer": "x" }, "127.0.0.1"],
])("the audit trail has the address of who called, %s", async (_who, TRUSTED_PROXIES, headers, address) => {
  const { api, direct, gateway } = await openBoth({ TRUSTED_PROXIES });
  for (const origin of [gateway.origin, direct]) {
    const body = '{"tier":"small"}';
    expect((await ask(origin, "POST", "/v1/sessions", { body, headers: { ...json, ...headers } })).status).toBe(201);
  }
  expect(await api.database.selectFrom("session_events").select("address").execute()).toEqual([
    { address },
    { address },
  ]);
});

test("the gateway's connection carries many callers, and stays open after an unknown caller's call", async () => {
  const { api, gateway } = await openBoth();
  const timeouts: (number | undefined)[] = [];
  api.app
    .getHttpServer()
    .on("request", ({ socket }: { socket: { timeout?: number } }, response: NodeJS.EventEmitter) =>
      response.once("close", () => timeouts.push(socket.timeout)),
    );
  await ask(gateway.origin, "GET", "/v1/openapi.json");
  await until("the call has ended", 20, () => timeouts.length === 1);
  expect(timeouts[0]).toBeGreaterThan(60_000);
});

test("when a caller disconnects, the call to the API ends too", async () => {
  const { api, gateway } = await openBoth();
  const leave = new AbortController();
  const left = fetch(`${gateway.origin}/v1/sessions?wait=running`, {
    method: "POST",
    headers: { ...json, authorization: `Bearer ${keyOf("acme")}` },
    body: '{"tier":"small"}',
    signal: leave.signal,
  }).catch((error: Error) => error.name);
  await until("the API waits", 30, () => api.app.get(Streams).size === 1);
  leave.abort();
  expect(await left).toBe("AbortError");
  await until("the API waits no more", 30, () => api.app.get(Streams).size === 0);
});

test("the gateway serves commands, files and programs itself, also without the API", async () => {
  const [podPort = 0] = await freePorts(1);
  const api = await openApi({ GATEWAY_URL: nowhere });
  const direct = await listen(api);
  const gateway = await openGateway(api, direct, { podPort });
  const { id } = JSON.parse(
    (await ask(gateway.origin, "POST", "/v1/sessions", { body: '{"tier":"small"}', headers: json })).body,
  );
  await startBerthd(id, podPort);
  await runsHere(api, id);
  const session = `/v1/sessions/${id}`;
  const started = await ask(gateway.origin, "POST", `${session}/processes`, {
    headers: json,
    body: JSON.stringify({ command: ["cat"], keepStdin: true }),
  });
  expect(started.status).toBe(201);
  const attach = async (origin: string) => {
    const url = `${origin.replace("http", "ws")}${session}/processes/${JSON.parse(started.body).id}/attach`;
    const socket = new WebSocket(url, { headers: { authorization: `Bearer ${keyOf("acme")}` } });
    onTestFinished(() => socket.terminate());
    socket.on("error", () => {});
    await once(socket, "open");
    return socket;
  };
  const program = await attach(gateway.origin);
  const metrics = () => gateway.app.get(Metrics).registry.getSingleMetricAsString("berth_open_connections");
  expect(await metrics()).toMatch(/^berth_open_connections 1$/m);

  // Closes the API's server and the connections of its callers. The API's connections to its stores stay open.
  api.app.getHttpServer().close();
  api.app.getHttpServer().closeAllConnections();
  expect((await ask(gateway.origin, "GET", "/v1/sessions")).status).toBe(503);
  const heard: Buffer[] = [];
  program.on("message", (data: Buffer, isBinary) => isBinary && heard.push(data.subarray(1)));
  program.send(Buffer.from("still here\n"));
  await until("the program answers", 30, () => Buffer.concat(heard).toString() === "still here\n");
  const bytes = Buffer.alloc(5_000_000, "x").toString();
  const put = { body: bytes, headers: { "content-type": "application/octet-stream" } };
  expect((await ask(gateway.origin, "PUT", `${session}/files?path=big`, put)).status).toBe(200);
  expect((await ask(gateway.origin, "GET", `${session}/files?path=big`)).body).toBe(bytes);
  const ran = await ask(gateway.origin, "POST", `${session}/commands`, {
    headers: json,
    body: JSON.stringify({ command: ["echo", "hello"] }),
  });
  expect(JSON.parse(ran.body)).toMatchObject({ exitCode: 0, stdout: "hello\n" });
});

test("a WebSocket is not forwarded in a circle if the gateway's Service leads to the API itself", async () => {
  const [port = 0] = await freePorts(1);
  const api = await openApi({ GATEWAY_URL: `http://127.0.0.1:${port}` });
  const origin = await listen(api, port);
  let upgrades = 0;
  api.app.getHttpServer().on("upgrade", () => (upgrades += 1));
  const socket = new WebSocket(`${origin.replace("http", "ws")}/v1/sessions/x/desktop`);
  socket.on("error", () => {});
  const [, response] = await once(socket, "unexpected-response");
  expect([response.statusCode, upgrades]).toEqual([503, 2]);
});

test("the API forwards a WebSocket to the gateway, with the caller's address, and returns the gateway's refusals", async () => {
  const [podPort = 0, port = 0] = await freePorts(2);
  const api = await openApi({ GATEWAY_URL: `http://127.0.0.1:${port}` });
  const direct = await listen(api);
  const url = (path: string) => direct.replace("http", "ws") + path;
  const refusal = async (path: string) => {
    const socket = new WebSocket(url(path), { headers: { authorization: `Bearer ${keyOf("acme")}` } });
    socket.on("error", () => {});
    const [, response] = await once(socket, "unexpected-response");
    return [response.statusCode, response.headers["content-type"]];
  };
  expect(await refusal("/v1/sessions/x/desktop")).toEqual([503, "application/problem+json"]);
  const { app } = await openGateway(api, direct, { podPort, port });
  expect(await refusal("/v1/sessions/x/desktop")).toEqual([404, "application/problem+json"]);

  const { id } = JSON.parse(
    (await ask(direct, "POST", "/v1/sessions", { body: '{"tier":"small"}', headers: json })).body,
  );
  await startBerthd(id, podPort);
  await runsHere(api, id);
  const made = await app.inject({
    method: "POST",
    url: `/v1/sessions/${id}/processes`,
    headers: { authorization: `Bearer ${keyOf("acme")}` },
    payload: { command: ["echo", "hello"] },
  });
  const program = new WebSocket(url(`/v1/sessions/${id}/processes/${made.json().id}/attach?offset=0`), {
    headers: { authorization: `Bearer ${keyOf("acme")}` },
  });
  const heard: Buffer[] = [];
  program.on("message", (data: Buffer, isBinary) => isBinary && heard.push(data.subarray(1)));
  expect((await once(program, "close"))[0]).toBe(1000);
  expect(Buffer.concat(heard).toString()).toBe("hello\n");
});

test("a WebSocket that the API passes on is told to come again when the API ends", async () => {
  const [podPort = 0, port = 0] = await freePorts(2);
  const api = await openApi({ GATEWAY_URL: `http://127.0.0.1:${port}` });
  const direct = await listen(api);
  const gateway = await openGateway(api, direct, { podPort, port });
  const { id } = JSON.parse(
    (await ask(direct, "POST", "/v1/sessions", { body: '{"tier":"small"}', headers: json })).body,
  );
  await startBerthd(id, podPort);
  await runsHere(api, id);
  const processes = `/v1/sessions/${id}/processes`;
  const body = JSON.stringify({ command: ["cat"], keepStdin: true });
  const made = await ask(gateway.origin, "POST", processes, { body, headers: json });
  const socket = new WebSocket(`${direct.replace("http", "ws")}${processes}/${JSON.parse(made.body).id}/attach`, {
    headers: { authorization: `Bearer ${keyOf("acme")}` },
  });
  await once(socket, "open");
  const closed = once(socket, "close");
  await api.app.get(UpgradeForwarder).beforeApplicationShutdown();
  expect((await closed).map(String)).toEqual(["1012", "Berth restarts; connect again."]);
});
