/** Tests the ports of sessions over HTTP and WebSocket. A real berthd on loopback forwards to the programs. */
import { once } from "node:events";
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import type { Duplex } from "node:stream";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { PortTokens } from "../../api/access/portTokens.ts";
import type { Config } from "../../config/config.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { call, type OpenApi } from "../../testing/api.ts";
import { buildBerthd, openDescriptors, openSession } from "../../testing/berthd.ts";
import {
  adminKey,
  credentialOf,
  holdIntervals,
  keyOf,
  sha256,
  tenant,
  tenantsFile,
  writeTenants,
} from "../../testing/fixtures.ts";
import { freePorts } from "../../testing/ports.ts";
import { PortGateway } from "./portGateway.ts";

beforeAll(() => buildBerthd().then(() => {}));

interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: string;
}

interface Wanted {
  method?: string;
  headers?: Record<string, string>;
  body?: string | Buffer;
  host?: string;
}

/** A program of the session on a port of this machine. The program ends with the test. */
async function program(answer: RequestListener, host = "127.0.0.1") {
  const server = createServer(answer);
  await once(server.listen(0, host), "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return { server, port: (server.address() as AddressInfo).port };
}

const readOnly = { name: "read", sha256: sha256(`${keyOf("acme")}r`), scopes: ["read" as const] };
const acme = () => tenant("acme", { keys: [{ name: "default", sha256: sha256(keyOf("acme")) }, readOnly] });

/** The API with a session and its ports, which are requested by name at a port of loopback. */
async function open(changes: Partial<Config> = {}) {
  const opened = await openSession({ SANDBOX_URL: "http://*.localhost:3003", ...changes }, [acme(), tenant("beta")]);
  const gateway = opened.api.app.get(PortGateway);
  await gateway.listen(0, "127.0.0.1");
  onTestFinished(() => gateway.close());
  const at = (gateway.server.address() as AddressInfo).port;
  const hostOf = (port: number | string, id = opened.id) => `${port}-${id}.localhost:${at}`;
  const begin = (host: string, path: string, { method = "GET", headers = {} }: Wanted = {}) =>
    httpRequest({ host: "127.0.0.1", port: at, path, method, headers: { host, ...headers }, agent: false });
  const ask = async (port: number | string, path = "/", wanted: Wanted = {}): Promise<Answer> => {
    const request = begin(wanted.host ?? hostOf(port), path, wanted).end(wanted.body);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const body = Buffer.concat(await response.toArray()).toString();
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  };
  const link = async (port: number | string, body: object = {}, key?: string) =>
    call(opened.api, "POST", `/v1/sessions/${opened.id}/ports/${port}/links`, { body, ...(key && { key }) });
  /** Opens a link's URL as a browser does. Returns the answer. */
  const follow = (url: string, headers: Record<string, string> = {}) => {
    const { pathname, search, host } = new URL(url);
    return ask(0, pathname + search, { host: host.replace(/:\d+$/, `:${at}`), headers });
  };
  const socket = (port: number, headers: Record<string, string>, path = "/") =>
    new WebSocket(`ws://127.0.0.1:${at}${path}`, ["echo"], { headers: { host: hostOf(port), ...headers } });
  return { ...opened, gateway, at, hostOf, begin, ask, link, follow, socket };
}

const withKey = { "x-berth-token": keyOf("acme") };
const cookieOf = ({ headers }: Answer) => (headers["set-cookie"]?.[0] ?? "").split(";")[0] ?? "";

const trailOf = async (api: OpenApi) =>
  (await api.store.trail.ofTenant({ tenant: "acme" }, "0", 100)).filter(({ type }) => type === "port");

test("a key reaches the program, which gets the request unchanged and nothing of Berth's", async () => {
  const { ask, hostOf } = await open();
  const requests: IncomingMessage[] = [];
  const { port } = await program((request, response) => {
    requests.push(request);
    let body = "";
    request
      .on("data", (data) => (body += data))
      .on("end", () => {
        response.writeHead(418, {
          "set-cookie": ["mine=1; Domain=localhost; Path=/x; HttpOnly", "berth-port=2", "__Host-berth-port=3; Secure"],
          "clear-site-data": '"cookies"',
          "strict-transport-security": "max-age=1; includeSubDomains",
          "x-berth-port": "1",
          "content-security-policy": "default-src 'self'",
        });
        response.end(`got ${body}`);
      });
  });
  const answer = await ask(port, "//a%2F..//b?x=%zz;&y", {
    method: "POST",
    body: "hello",
    headers: {
      ...withKey,
      authorization: "Basic abc",
      cookie: "a=1; berth-port=x; __Host-berth-port=y; b=2",
      "x-berth-port": "5900",
      "x-berth-session-token": "x",
      "x-forwarded-for": "192.0.2.1",
      forwarded: "for=192.0.2.1",
    },
  });
  expect([answer.status, answer.body]).toEqual([418, "got hello"]);
  const [request] = requests;
  expect([request?.method, request?.url]).toEqual(["POST", "//a%2F..//b?x=%zz;&y"]);
  expect(request?.headers).toMatchObject({
    host: hostOf(port),
    authorization: "Basic abc",
    "x-forwarded-for": "127.0.0.1",
    "x-forwarded-host": hostOf(port),
    "x-forwarded-proto": "http",
  });
  expect(request?.headers.cookie).toBe("a=1; b=2");
  expect(JSON.stringify(request?.rawHeaders)).not.toMatch(/x-berth|forwarded"|192\.0\.2\.1/i);
  expect(answer.headers).toMatchObject({
    "set-cookie": ["mine=1; Path=/x; HttpOnly"],
    "x-robots-tag": "noindex",
    "content-security-policy": "default-src 'self'",
  });
  for (const name of ["clear-site-data", "strict-transport-security", "x-berth-port"]) {
    expect(answer.headers[name]).toBeUndefined();
  }
});

test("programs that listen only on IPv6 are reached too", async () => {
  const { ask } = await open();
  const { port } = await program((_request, response) => response.end("six"), "::1");
  expect((await ask(port, "/", { headers: withKey })).body).toBe("six");
});

test("a caller without the right gets a page or a problem, and the program gets no request", async () => {
  const { ask, link, id } = await open();
  let heard = 0;
  const { port } = await program((_request, response) => {
    heard += 1;
    response.end();
  });
  const status = async (headers: Record<string, string>) => (await ask(port, "/", { headers })).status;
  expect(await status({})).toBe(401);
  expect(await status({ authorization: `Bearer ${keyOf("acme")}` })).toBe(400);
  expect(await status({ "x-berth-token": "berth_acme_wrong" })).toBe(401);
  expect(await status({ "x-berth-token": `${keyOf("acme")}r` })).toBe(403);
  expect(await status({ "x-berth-token": adminKey })).toBe(403);
  expect(await status({ "x-berth-token": keyOf("beta") })).toBe(404);
  expect(await status({ cookie: "berth-port=x" })).toBe(401);
  const other = (await link(port === 1 ? 2 : port - 1)).json.token;
  expect(other).toMatch(/^eyJ/);
  expect(await status({ "x-berth-token": other })).toBe(401);
  expect(await status({ cookie: `berth-port=${other}` })).toBe(401);
  expect(heard).toBe(0);

  const page = await ask(port, "/", { headers: { accept: "text/html,*/*" } });
  expect([page.status, page.headers["content-type"]]).toEqual([401, "text/html; charset=utf-8"]);
  expect(page.body).toContain("POST /v1/sessions/:id/ports/:port/links");
  const problem = await ask(port);
  expect([problem.headers["content-type"], JSON.parse(problem.body).status]).toEqual(["application/problem+json", 401]);
  expect((await ask(port, "/", { headers: withKey })).status).toBe(200);
  expect(id).toBeTruthy();
});

test("a link works for one browser, with a cookie that the program never sees, and the audit trail has it", async () => {
  const { api, ask, link, follow, id } = await open();
  const requests: IncomingMessage[] = [];
  const { port } = await program((request, response) => {
    requests.push(request);
    response.end("app");
  });
  const made = await link(port, { lifetimeSeconds: 60, path: "/a?b=c" });
  expect(made.status).toBe(201);
  expect(made.json.url).toMatch(new RegExp(`^http://${port}-${id}\\.localhost:3003/\\.berth/open\\?ticket=`));
  const opened = await follow(made.json.url);
  expect([opened.status, opened.headers.location]).toEqual([303, "/a?b=c"]);
  expect(opened.headers["set-cookie"]).toEqual([
    expect.stringMatching(/^berth-port=[\w.-]+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/),
  ]);
  expect(opened.headers).toMatchObject({ "referrer-policy": "no-referrer", "cache-control": "no-store" });
  const again = await follow(made.json.url, { accept: "text/html" });
  expect([again.status, again.body]).toEqual([401, expect.stringContaining("used already")]);
  const cookie = `mine=1; ${cookieOf(opened)}`;
  expect((await ask(port, "/a?b=c", { headers: { cookie } })).body).toBe("app");
  // Other cookies with this name, which another page may have set, do no harm.
  expect((await ask(port, "/", { headers: { cookie: `berth-port=; berth-port=x; ${cookie}` } })).status).toBe(200);
  expect(requests.map(({ headers }) => headers.cookie)).toEqual(["mine=1", "mine=1"]);
  expect((await ask(port, "/", { headers: { "x-berth-token": made.json.token } })).status).toBe(200);
  // The ticket can't be used as a token.
  const ticket = new URL(made.json.url).searchParams.get("ticket") ?? "";
  expect((await ask(port, "/", { headers: { cookie: `berth-port=${ticket}` } })).status).toBe(401);
  const lines = await trailOf(api);
  expect(lines.map(({ reason }) => reason?.replace(/[0-9a-f-]{36}/, "X"))).toEqual([
    `makes the link X to the port ${port}`,
    `opens the port ${port} by the link X`,
    `uses the port ${port}`, // three requests within a minute give one line
  ]);
  expect(lines.map(({ actor }) => actor.replace(/[0-9a-f-]{36}/, "X"))).toEqual(["key:default", "link:X", "link:X"]);
  await ask(port, "/", { headers: withKey });
  expect((await trailOf(api)).slice(3).map(({ reason, actor, address }) => [reason, actor, address])).toEqual([
    [`uses the port ${port}`, "key:default", "127.0.0.1"],
  ]);
});

test("a prefetch does not open a link, and no request to Berth's paths reaches the program", async () => {
  const { link, follow, ask } = await open();
  let heard = 0;
  const { port } = await program((_request, response) => {
    heard += 1;
    response.end();
  });
  const { url } = (await link(port)).json;
  expect((await follow(url, { "sec-purpose": "prefetch;prerender" })).status).toBe(503);
  expect((await follow(url)).status).toBe(303);
  expect((await ask(port, "/.berth/other", { headers: withKey })).status).toBe(404);
  expect((await ask(port, "/.berth/open?ticket=x", { method: "POST", headers: withKey })).status).toBe(405);
  expect(heard).toBe(0);
});

test("a link's cookie works only for the port's own pages: a neighbour's page may only link there", async () => {
  const { link, follow, ask, hostOf, socket } = await open();
  const { port, server } = await program((_request, response) => response.end("app"));
  new WebSocketServer({ server });
  const cookie = cookieOf(await follow((await link(port)).json.url));
  const own = `http://${hostOf(port)}`;
  const neighbour = own.replace(String(port), "1");
  const status = async (headers: Record<string, string>, method = "GET") =>
    (await ask(port, "/", { method, headers: { cookie, ...headers } })).status;
  const document = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
  expect(await status({ "sec-fetch-site": "same-origin", origin: own }, "POST")).toBe(200);
  expect(await status({ "sec-fetch-site": "none", ...document })).toBe(200);
  expect(await status({ "sec-fetch-site": "same-site", ...document })).toBe(200);
  expect(await status({ "sec-fetch-site": "cross-site", ...document })).toBe(200);
  expect(await status({ "sec-fetch-site": "same-site", ...document }, "POST")).toBe(403);
  expect(await status({ "sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors" })).toBe(403);
  expect(await status({ "sec-fetch-site": "same-site", ...document, "sec-fetch-dest": "iframe" })).toBe(403);
  expect(await status({ origin: neighbour }, "POST")).toBe(403);
  expect(await status({ origin: "null" }, "POST")).toBe(403);
  const connected = (origin: string) =>
    new Promise<string>((resolve) => {
      const client = socket(port, { cookie, origin });
      client.on("open", () => resolve("open")).on("error", (error) => resolve(error.message));
      onTestFinished(() => client.terminate());
    });
  expect(await connected(own)).toBe("open");
  expect(await connected(neighbour)).toContain("403");
});

test("a WebSocket works in both directions, and ends on both sides when one side ends", async () => {
  const { api, socket, berthd } = await open();
  const { port, server } = await program((_request, response) => response.writeHead(400).end("no"));
  const ended: number[] = [];
  const sockets = new WebSocketServer({ server, handleProtocols: () => "echo" });
  sockets.on("connection", (inside, request) => {
    expect(request.headers["x-berth-token"]).toBeUndefined();
    inside.on("message", (data, isBinary) => {
      if (String(data) === "end") inside.close(4000, "over");
      else inside.send(data, { binary: isBinary });
    });
    inside.on("close", (code) => ended.push(code));
  });
  const before = openDescriptors(berthd.pid);
  const client = socket(port, withKey);
  await once(client, "open");
  expect(client.protocol).toBe("echo");
  const metrics = () => api.app.get(Metrics).registry.getSingleMetricAsString("berth_open_connections");
  expect(await metrics()).toMatch(/^berth_open_connections 1$/m);
  client.send("hello");
  expect(String((await once(client, "message"))[0])).toBe("hello");
  const large = Buffer.alloc(5_000_000, 7);
  client.send(large);
  expect(((await once(client, "message"))[0] as Buffer).equals(large)).toBe(true);
  client.send("end");
  expect((await once(client, "close"))[0]).toBe(4000);
  const second = socket(port, withKey);
  await once(second, "open");
  second.terminate();
  await until("the program's side has ended too", 30, () => ended.length === 2);
  await until("berthd holds no connection of it", 30, () => openDescriptors(berthd.pid) <= before + 1);
  // The client gets the program's refusal.
  const refused = socket((await program((_request, response) => response.writeHead(426).end("no"))).port, withKey);
  expect(String((await once(refused, "error"))[0])).toContain("426");
  const nobody = socket(port, {});
  expect(String((await once(nobody, "error"))[0])).toContain("401");
  const [free = 0] = await freePorts(1);
  expect(String((await once(socket(free, withKey), "error"))[0])).toContain("503");
});

test("answers arrive as they are written, and 32 MiB are uploaded and downloaded unchanged", async () => {
  const { begin, hostOf, ask } = await open();
  const { port } = await program((request, response) => {
    if (request.url === "/slow") {
      response.write("one\n");
      request.socket.once("close", () => response.end());
    } else request.pipe(response);
  });
  const slow = begin(hostOf(port), "/slow", { headers: withKey }).end();
  const [answer] = (await once(slow, "response")) as [IncomingMessage];
  expect(String((await once(answer, "data"))[0])).toBe("one\n");
  slow.destroy();
  const body = Buffer.alloc(32 * 1024 * 1024, "ab");
  expect((await ask(port, "/", { method: "PUT", headers: withKey, body })).body).toBe(body.toString());
});

test("if nothing listens or the program speaks no HTTP, a page says so; the platform's own ports are refused", async () => {
  const { api, ask, id, berthd } = await open();
  const [free = 0] = await freePorts(1);
  const listening = createTcpServer((socket) => socket.end("SSH-2.0\r\n")).listen(0, "127.0.0.1");
  onTestFinished(() => void listening.close());
  await once(listening, "listening");
  const html = { ...withKey, accept: "text/html" };
  const nothing = await ask(free, "/", { headers: html });
  expect([nothing.status, nothing.headers["retry-after"]]).toEqual([503, "3"]);
  expect(nothing.body).toContain(`Nothing listens on port ${free} of the session yet.`);
  expect(JSON.parse((await ask(free, "/", { headers: withKey })).body)).toMatchObject({ status: 503 });
  const other = (listening.address() as AddressInfo).port;
  expect((await ask(other, "/", { headers: withKey })).status).toBe(502);
  for (const port of [5900, 6080, berthd.port]) expect((await ask(port, "/", { headers: withKey })).status).toBe(403);

  const set = (state: "suspended" | "stopped") =>
    api.database.updateTable("sessions").set({ state, pod_ip: null }).where("id", "=", id).execute();
  await set("suspended");
  const stateOf = () => ask(free, "/", { headers: html });
  const suspended = await until("the port knows it", 10, stateOf, ({ body }) => body.includes("suspended"));
  expect([suspended.status, suspended.body]).toEqual([503, expect.stringContaining("Resume it.")]);
  await set("stopped");
  const stopped = await until("the port knows it", 10, stateOf, ({ body }) => body.includes("stopped"));
  expect(stopped.status).toBe(404);
});

/** Resolves when the connection has ended, for any reason. */
const over = (one: WebSocket | IncomingMessage) => new Promise<void>((resolve) => one.on("close", () => resolve()));

test("removing a key ends the connections of the key and of its links", async () => {
  const path = tenantsFile(acme(), tenant("beta"));
  const pass = holdIntervals();
  const { socket, link, follow, ask, begin, hostOf } = await open({ TENANTS_FILE: path });
  const { port, server } = await program((_request, response) => void response.write("on and on"));
  new WebSocketServer({ server, handleProtocols: () => "echo" });
  const cookie = cookieOf(await follow((await link(port)).json.url));
  const clients = [socket(port, withKey), socket(port, { cookie })];
  await Promise.all(clients.map((client) => once(client, "open")));
  const [stream] = (await once(begin(hostOf(port), "/", { headers: withKey }).end(), "response")) as [IncomingMessage];
  const closed = clients.map((client) => once(client, "close"));
  const cut = over(stream.on("error", () => {}).resume());
  writeTenants(path, [tenant("acme", { keys: [readOnly] }), tenant("beta")]);
  pass(60_000);
  expect((await Promise.all(closed)).map(([code]) => code)).toEqual([4401, 4401]);
  await cut;
  expect((await ask(port, "/", { headers: { cookie, accept: "text/html" } })).status).toBe(401);
  expect((await ask(port, "/", { headers: withKey })).status).toBe(401);
});

test("the expiry of a link ends its connections", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const { api, id, socket, ask } = await open();
  const { port, server } = await program((_request, response) => response.end());
  new WebSocketServer({ server, handleProtocols: () => "echo" });
  const tokens = api.app.get(PortTokens);
  const by = { tenant: "acme", path: "/", credential: credentialOf("acme") };
  const permission = tokens.permit({ sessionId: id, port }, by, 60);
  await api.store.grants.add({ ...permission, kind: "port", access: "use", madeBy: { name: "test" } });
  const cookie = `berth-port=${await tokens.sign("token", permission)}`;
  const client = socket(port, { cookie });
  await once(client, "open");
  expect((await ask(port, "/", { headers: { cookie } })).status).toBe(200);
  const closed = once(client, "close");
  vi.setSystemTime(Date.now() + 61_000);
  const [code, reason] = await until("the connection is closed", 30, () => closed);
  expect([code, String(reason)]).toEqual([4401, "The link has expired."]);
  const after = await ask(port, "/", { headers: { cookie, accept: "text/html" } });
  expect([after.status, after.body]).toEqual([401, expect.stringContaining("has expired")]);
});

test("links are listed without themselves; one that is revoked lets nobody in, and cuts what it let in", async () => {
  const { api, id, link, follow, ask, socket } = await open();
  const { port, server } = await program((_request, response) => response.end("app"));
  new WebSocketServer({ server, handleProtocols: () => "echo" });
  const [kept, gone, unopened] = [
    (await link(port, { lifetimeSeconds: 60, path: "/a" })).json,
    (await link(port)).json,
    (await link(port)).json,
  ];
  const links = `/v1/sessions/${id}/ports/links`;
  const list = async () => (await call(api, "GET", links, { key: `${keyOf("acme")}r` })).json.items;
  const made = { madeBy: "key:default", address: "127.0.0.1", madeAt: expect.any(String), port };
  const inList = ({ id, expiresAt }: typeof kept, path: string) => ({ ...made, id, expiresAt, path });
  expect(await list()).toEqual([inList(unopened, "/"), inList(gone, "/"), inList(kept, "/a")]);

  const cookies = [cookieOf(await follow(kept.url)), cookieOf(await follow(gone.url))] as const;
  const [stays, ends] = cookies.map((cookie) => socket(port, { cookie })) as [WebSocket, WebSocket];
  const byToken = socket(port, { "x-berth-token": gone.token });
  await Promise.all([stays, ends, byToken].map((client) => once(client, "open")));
  const revoke = async (of: string, key = keyOf("acme")) =>
    (await call(api, "DELETE", `${links}/${of}`, { key })).status;
  expect(await revoke(gone.id, keyOf("beta"))).toBe(404);
  expect(await revoke(gone.id, `${keyOf("acme")}r`)).toBe(403);
  expect((await call(api, "DELETE", `/v1/sessions/${id}/files/links/${gone.id}`)).status).toBe(404);
  const cut = [ends, byToken].map(over);
  expect([await revoke(gone.id), await revoke(gone.id), await revoke(unopened.id)]).toEqual([204, 404, 204]);
  await Promise.all(cut);
  expect(stays.readyState).toBe(WebSocket.OPEN);

  const status = async (headers: Record<string, string>) => (await ask(port, "/", { headers })).status;
  await until("its cookie is refused", 10, async () => (await status({ cookie: cookies[1] })) === 401);
  expect(await status({ "x-berth-token": gone.token })).toBe(401);
  const refused = await follow(unopened.url, { accept: "text/html" });
  expect([refused.status, refused.body]).toEqual([401, expect.stringContaining("has been revoked")]);
  expect([await status({ cookie: cookies[0] }), await status({ "x-berth-token": kept.token })]).toEqual([200, 200]);
  expect(await list()).toEqual([inList(kept, "/a")]);
  const [last] = (await trailOf(api)).slice(-1);
  expect(last).toMatchObject({ reason: `revokes the link ${unopened.id}`, actor: "key:default" });
});

test("WebSockets to ports are listed with the users who opened them, and each can be closed alone", async () => {
  const { api, id, socket, link } = await open();
  const { port, server } = await program((_request, response) => response.end());
  new WebSocketServer({ server, handleProtocols: () => "echo" });
  const made = (await link(port)).json;
  const [byKey, byLink] = [withKey, { "x-berth-token": made.token }].map((headers) => socket(port, headers));
  await Promise.all([byKey, byLink].map((client) => once(client as WebSocket, "open")));
  const connections = `/v1/sessions/${id}/connections`;
  const list = (count: number) =>
    until(
      `${count} are listed`,
      10,
      async () => (await call(api, "GET", connections, { key: `${keyOf("acme")}r` })).json.items,
      ({ length }) => length === count,
    );
  const none = { mode: null, process: null, path: null };
  const opened = { ...none, id: expect.any(String), kind: "port", port, address: "127.0.0.1" };
  const items = await list(2);
  expect(items).toEqual(
    expect.arrayContaining(
      ["key:default", `link:${made.id}`].map((by) => ({ ...opened, by, since: expect.any(String) })),
    ),
  );
  const ofLink = items.find(({ by }: { by: string }) => by !== "key:default").id;
  const closed = once(byLink as WebSocket, "close");
  expect((await call(api, "DELETE", `${connections}/${ofLink}`, { key: `${keyOf("acme")}r` })).status).toBe(403);
  expect((await call(api, "DELETE", `${connections}/${ofLink}`)).status).toBe(204);
  expect((await closed).map(String)).toEqual(["4403", "A user has closed this connection through the API."]);
  expect(await list(1)).toMatchObject([{ by: "key:default" }]);
  expect(byKey?.readyState).toBe(WebSocket.OPEN);
  const [last] = (await trailOf(api)).slice(-1);
  expect(last).toMatchObject({ actor: "key:default", reason: `closes the connection of link:${made.id}` });
  byKey?.terminate();
  await list(0);
});

test("an HTTP answer that goes on is listed like a WebSocket, and can be closed alone", async () => {
  const { api, id, begin, hostOf } = await open();
  const { port } = await program((_request, response) => void response.write("an event"));
  const connections = `/v1/sessions/${id}/connections`;
  const request = begin(hostOf(port), "/", { headers: withKey }).end();
  const [answer] = (await once(request, "response")) as [IncomingMessage];
  const list = async () => (await call(api, "GET", connections)).json.items;
  const [one] = await until("it is listed", 10, list, ({ length }) => length === 1);
  expect(one).toMatchObject({ kind: "port", port, by: "key:default" });
  const metrics = () => api.app.get(Metrics).registry.getSingleMetricAsString("berth_open_connections");
  expect(await metrics()).toMatch(/^berth_open_connections 1$/m);
  expect((await call(api, "DELETE", `${connections}/${one.id}`)).status).toBe(204);
  await expect(answer.toArray()).rejects.toThrow("aborted");
  await until("it is no longer counted", 10, metrics, (text) => /^berth_open_connections 0$/m.test(text));
});

test("a refused WebSocket takes no place, also if its client does not close the connection", async () => {
  const { at, gateway, hostOf } = await open();
  const [free = 0] = await freePorts(1);
  const client = connect({ host: "127.0.0.1", port: at, allowHalfOpen: true });
  onTestFinished(() => void client.destroy());
  client.write(
    `GET / HTTP/1.1\r\nhost: ${hostOf(free)}\r\nx-berth-token: ${keyOf("acme")}\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${Buffer.alloc(16).toString("base64")}\r\n\r\n`,
  );
  expect(String((await once(client, "data"))[0])).toMatch(/^HTTP\/1.1 503 /);
  await until("the gateway has closed the connection", 20, () => gateway.size === 0);
});

test("a link that the database does not know lets nobody in", async () => {
  const { api, link, follow, ask } = await open();
  const { port } = await program((_request, response) => response.end());
  const { url, token } = (await link(port)).json;
  await api.database.deleteFrom("grants").execute();
  expect((await follow(url)).status).toBe(401);
  expect((await ask(port, "/", { headers: { "x-berth-token": token } })).status).toBe(401);
});

test("if nothing listens at berthd's port of the pod, the answer is 409 and says that the pod lacks the service", async () => {
  const { ask, socket, berthd } = await open();
  process.kill(berthd.pid, "SIGTERM");
  const answer = await until(
    "berthd has ended",
    30,
    () => ask(8000, "/", { headers: withKey }),
    ({ status }) => status === 409,
  );
  expect(JSON.parse(answer.body).detail).toContain("an earlier version of Berth started the pod, or the pod is ending");
  const [, refused] = await once(socket(8000, withKey), "unexpected-response");
  expect(refused.statusCode).toBe(409);
});

test("when a session's pod ends, its WebSockets end", async () => {
  const { socket, berthd } = await open();
  const { port, server } = await program((_request, response) => response.end());
  new WebSocketServer({ server, handleProtocols: () => "echo" });
  const client = socket(port, withKey);
  await once(client, "open");
  const ended = over(client);
  process.kill(berthd.pid, "SIGTERM");
  await ended;
});

test("when the process ends, WebSocket clients are told to connect again, running requests are finished, and the port closes", async () => {
  const { socket, gateway, begin, hostOf, ask } = await open();
  let finish: (() => void) | undefined;
  const { port, server } = await program((request, response) => {
    if (request.url === "/slow") finish = () => response.end("done");
    else response.end();
  });
  const inside: number[] = [];
  new WebSocketServer({ server, handleProtocols: () => "echo", perMessageDeflate: true }).on("connection", (one) =>
    one.on("close", (code) => inside.push(code)),
  );
  const client = socket(port, withKey);
  await once(client, "open");
  const slow = once(begin(hostOf(port), "/slow", { headers: withKey }).end(), "response");
  const answerSlow = await until("the program has the slow request", 30, () => finish);
  const closed = once(client, "close");
  const ended = gateway.end();
  expect((await closed).map(String)).toEqual(["1012", "The gateway restarts; connect again."]);
  await ended;
  await until("the program's side has ended too", 30, () => inside.length === 1);
  const end = gateway.close();
  answerSlow();
  const [answer] = (await slow) as [IncomingMessage];
  expect(Buffer.concat(await answer.toArray()).toString()).toBe("done");
  await end;
  await expect(ask(port)).rejects.toThrow("ECONNREFUSED");
});

test("a Close frame waits for the end of the frame that has begun, but not if that end does not come", async () => {
  const { socket, gateway } = await open();
  const { port, server } = await program((_request, response) => response.end());
  const programs: Duplex[] = [];
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => "echo" });
  server.on("upgrade", (request, duplex, head) => {
    sockets.handleUpgrade(request, duplex, head, () => programs.push(duplex));
  });
  const frame = Buffer.concat([Buffer.from([0x81, 126, 0, 200]), Buffer.alloc(200, "x")]);
  const begun = async () => {
    const client = socket(port, withKey);
    const [{ socket: under }] = (await once(client, "upgrade")) as [IncomingMessage];
    await until("the program has it", 30, () => programs.length > 0);
    const [inside] = programs.splice(0);
    const before = under.bytesRead;
    inside?.write(frame.subarray(0, 100));
    await until("half of the frame is here", 30, () => under.bytesRead === before + 100);
    const heard: string[] = [];
    client.on("message", (data) => heard.push(String(data)));
    return { closed: once(client, "close"), heard, inside };
  };
  const [one, other] = [await begun(), await begun()];
  const ended = gateway.end();
  one.inside?.write(Buffer.concat([frame.subarray(100), frame]));
  expect([(await one.closed)[0], one.heard]).toEqual([1012, ["x".repeat(200)]]);
  await ended;
  expect([(await other.closed)[0], other.heard]).toEqual([1006, []]);
});

test("without sandboxUrl ports have no URL and no links", async () => {
  const { api, id } = await openSession();
  const { port } = await program((_request, response) => response.end());
  const { items } = (await call(api, "GET", `/v1/sessions/${id}/ports`)).json;
  expect(items.find((one: { port: number }) => one.port === port)).toMatchObject({ url: null });
  const refused = await call(api, "POST", `/v1/sessions/${id}/ports/${port}/links`, { body: {} });
  expect([refused.status, refused.json.detail]).toEqual([409, expect.stringContaining("sandboxUrl")]);
});

test("with one host for all, pages are below a path, have an opaque origin, and cookies limited to their path", async () => {
  const { ask, link, id } = await open({ SANDBOX_URL: "https://sandbox.example" });
  const host = "sandbox.example";
  const requests: IncomingMessage[] = [];
  const { port } = await program((request, response) => {
    requests.push(request);
    response.writeHead(302, {
      location: "/next",
      "set-cookie": ["a=1", "b=2; Path=/b; Domain=example"],
      "service-worker-allowed": "/",
      "content-security-policy": "default-src 'self'",
    });
    response.end();
  });
  const prefix = `/${id}/${port}`;
  const { url } = (await link(port)).json;
  expect(url).toMatch(new RegExp(`^https://sandbox\\.example${prefix}/\\.berth/open\\?ticket=`));
  const opened = await ask(0, new URL(url).pathname + new URL(url).search, { host });
  expect(opened.headers.location).toBe(`${prefix}/`);
  expect(opened.headers["set-cookie"]?.[0]).toMatch(
    new RegExp(`^__Secure-berth-port=[\\w.-]+; Path=${prefix}/; Max-Age=\\d+; HttpOnly; SameSite=Lax; Secure$`),
  );
  const cookie = `${cookieOf(opened)}; login=of-another-service; berth-program-a=1`;
  const answer = await ask(0, `${prefix}/x?y`, { host, headers: { cookie } });
  expect(requests[0]?.url).toBe("/x?y");
  expect(requests[0]?.headers).toMatchObject({ "x-forwarded-prefix": prefix, cookie: "a=1" });
  expect(answer.headers).toMatchObject({
    location: `${prefix}/next`,
    "set-cookie": [`berth-program-a=1; Path=${prefix}/`, `berth-program-b=2; Path=${prefix}/b`],
    "content-security-policy": expect.stringMatching(/^default-src 'self', sandbox (?!.*allow-same-origin)/),
  });
  expect(answer.headers["service-worker-allowed"]).toBeUndefined();
  expect((await ask(0, prefix, { host, headers: withKey })).status).toBe(302);
  const other = await ask(0, `${prefix}/`, { host: "other.example", headers: withKey });
  expect([other.status, JSON.parse(other.body).detail]).toEqual([
    404,
    expect.stringMatching(/<session id>\/<port>\/$/),
  ]);
});

test("no host, path, port or header causes a 5xx of Berth", async () => {
  const { ask, at, hostOf, id, link } = await open();
  const beyond = ["0", "65536", "022", "-1", "+80", "8e1", "99999999999", "", "port", "80.5", "８０"];
  for (const port of beyond) {
    const host = `${Buffer.from(`${port}-${id}.localhost`).toString("latin1")}:${at}`;
    expect((await ask(0, "/", { host, headers: withKey })).status, port).toBe(404);
    if (port === "") continue;
    const made = await link(encodeURIComponent(port));
    expect([made.status, made.json.errors?.[0].field], port).toEqual([400, "port"]);
  }
  for (const host of [
    "",
    "localhost",
    `.localhost:${at}`,
    `80-${id}.localhost.evil.example`,
    `80-${id}.example`,
    `80-${id}`,
    `80-${id}x.localhost`,
    `80-80-${id}.localhost`,
    `x.80-${id}.localhost`,
    `80-${id}.localhost.`,
    `80-${id}.localhost:x`,
    `80-${"0".repeat(36)}.localhost`,
    `80-../${id}.localhost`,
    "x".repeat(5_000),
    "[::1]",
    "a b",
  ]) {
    expect((await ask(0, "/", { host, headers: withKey })).status, host).toBe(404);
  }
  const nobody = hostOf(80, "00000000-0000-4000-8000-000000000000");
  expect((await ask(0, "/", { host: nobody, headers: withKey })).status).toBe(404);
  expect((await ask(0, "/", { host: nobody })).status).toBe(401);
  for (const [body, field] of [
    [{ lifetimeSeconds: 9 }, "lifetimeSeconds"],
    [{ lifetimeSeconds: 86_401 }, "lifetimeSeconds"],
    [{ lifetimeSeconds: "60" }, "lifetimeSeconds"],
    [{ path: "//evil.example" }, "path"],
    [{ path: "/\\evil.example" }, "path"],
    [{ path: "https://evil.example" }, "path"],
    [{ path: "/a\r\nset-cookie: x" }, "path"],
    [{ else: 1 }, "else"],
  ] as const) {
    expect((await link(80, body)).json.errors?.[0].field, JSON.stringify(body)).toBe(field);
  }

  /** Sends these bytes to the gateway. Returns the status of the answer, or "" if the gateway only closes the connection. */
  const raw = async (text: string) => {
    const socket = connect(at, "127.0.0.1").end(text, "latin1");
    const answer = Buffer.concat(await socket.toArray().catch(() => [])).toString();
    return /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? "";
  };
  const host = `host: ${hostOf(80)}\r\n`;
  const key = `x-berth-token: ${keyOf("acme")}\r\n`;
  for (const text of [
    `GET http://evil.example/ HTTP/1.1\r\n${host}${key}\r\n`,
    `GET * HTTP/1.1\r\n${host}${key}\r\n`,
    `OPTIONS * HTTP/1.1\r\n${host}${key}\r\n`,
    `CONNECT 127.0.0.1:5900 HTTP/1.1\r\n${host}${key}\r\n`,
    `GET / HTTP/1.1\r\n${key}\r\n`,
    `GET / HTTP/1.1\r\n${host}${host}${key}\r\n`,
    `GET / HTTP/1.1\r\n${host}x: ${"x".repeat(20_000)}\r\n\r\n`,
    `GET / HTTP/1.1\r\n${host}${key}${key}\r\n`,
    `POST / HTTP/1.1\r\n${host}${key}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    `GET /\x00 HTTP/1.1\r\n${host}${key}\r\n`,
    `GET / HTTP/1.1\r\n${host}connection: upgrade\r\nupgrade: websocket\r\n\r\n`,
    `POST / HTTP/1.1\r\n${host}${key}connection: upgrade\r\nupgrade: websocket\r\n\r\n`,
    `GET /.berth/open?ticket=${"x".repeat(5_000)} HTTP/1.1\r\n${host}\r\n`,
    `GET /.berth/open?ticket=%zz&ticket=a HTTP/1.1\r\n${host}\r\n`,
    "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
  ]) {
    expect(await raw(text), text.slice(0, 60)).toMatch(/^(4\d\d)?$/);
  }
});

test("a tenant's requests don't wait for another tenant's endless ones, and are limited apart from WebSockets", async () => {
  const { begin, hostOf, ask, socket } = await open();
  const { port, server } = await program((request, response) => {
    if (request.url === "/hang") response.write("x");
    else response.end("ok");
  });
  new WebSocketServer({ server, handleProtocols: () => "echo" });
  const hanging: IncomingMessage[] = [];
  for (let count = 0; count < 100; count += 1) {
    const request = begin(hostOf(port), "/hang", { headers: withKey })
      .on("error", () => {})
      .end();
    hanging.push(((await once(request, "response")) as [IncomingMessage])[0].on("error", () => {}));
  }
  expect((await ask(port, "/", { headers: withKey })).status).toBe(429);
  await once(socket(port, withKey), "open");
  expect((await ask(port, "/", { headers: { "x-berth-token": keyOf("beta") } })).status).toBe(404);
  for (const one of hanging) one.destroy();
  await until(
    "the endless requests no longer count",
    30,
    () => ask(port, "/", { headers: withKey }),
    ({ status }) => status === 200,
  );
});
