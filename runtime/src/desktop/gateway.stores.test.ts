/** The desktop's WebSocket from end to end, with a WebSocket server of our own where the session's vnc-proxy would be. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Metrics } from "../metrics/metrics.ts";
import { SessionStore } from "../sessions/sessionStore.ts";
import type { SessionEvent } from "../sessions/state.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { cipher, freshDatabase, keyOf, sessionOf, silent, tenant, tenantsFile, until } from "../testing/fixtures.ts";
import { closeCodes, DesktopGateway } from "./gateway.ts";
import { proxyToken, Tickets } from "./tickets.ts";

const tokenKey = "0123456789abcdef0123456789abcdef";

interface Closed {
  code: number;
  reason: string;
}

async function open(onDesktop: (socket: WebSocket, url: string) => void = () => {}) {
  const desktops = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "binary" });
  desktops.on("connection", (socket, request) => onDesktop(socket, request.url ?? ""));
  await new Promise((resolve) => desktops.once("listening", resolve));

  const { database } = await freshDatabase();
  const store = new SessionStore(database, cipher);
  const tenants = new TenantsFile(tenantsFile(tenant("acme"), tenant("beta")), silent);
  const tickets = new Tickets(tokenKey);
  const metrics = new Metrics(store, { counts: async () => ({ waiting: 0, active: 0, delayed: 0 }) });
  const gateway = new DesktopGateway({
    store,
    tenants,
    tickets,
    proxyToken: (id) => proxyToken(tokenKey, id),
    metrics,
    logger: silent,
    port: (desktops.address() as AddressInfo).port,
  });
  const server = createServer();
  server.on("upgrade", (request, socket, head) => void gateway.upgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    await gateway.beforeApplicationShutdown();
    tenants.onApplicationShutdown();
    for (const socket of desktops.clients) socket.terminate();
    desktops.close();
    server.close();
  });

  const request = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
  const { id } = sessionOf(await store.create(request, { name: "test" }));
  const origin = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    id,
    gateway,
    desktops,
    metrics,
    ticket: async (sessionId = id) => (await tickets.issue({ sessionId, tenant: "acme", mode: "interactive" })).ticket,
    async apply(...events: SessionEvent[]): Promise<void> {
      for (const event of events) {
        const seen = await store.find(id);
        if (seen !== undefined) await store.apply(seen, event, { name: "test" });
      }
    },
    connect: (path: string, key?: string) =>
      new WebSocket(
        origin + path,
        ["binary"],
        key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } },
      ),
  };
}

const running: SessionEvent[] = [{ type: "admitted" }, { type: "ready", podIp: "127.0.0.1" }];

const opened = (socket: WebSocket) =>
  new Promise<void>((resolve, reject) => socket.once("open", resolve).once("error", reject));
const closed = (socket: WebSocket) =>
  new Promise<Closed>((resolve) =>
    socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
  );
/** The HTTP status that the upgrade was refused with. */
const refused = (socket: WebSocket) =>
  new Promise<number | undefined>((resolve, reject) => {
    socket.on("error", () => {});
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode));
    socket.once("open", () => reject(new Error("it was let in")));
  });

test("with a ticket or a key, what either side sends arrives at the other", async () => {
  let asked = "";
  const { id, apply, connect, ticket } = await open((socket, url) => {
    asked = url;
    socket.send(Buffer.from("RFB 003.008\n"));
    socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  await apply(...running);
  const path = `/v1/sessions/${id}/desktop`;
  for (const [query, key] of [[`?ticket=${await ticket()}`], ["", keyOf("acme")]] as const) {
    const client = connect(path + query, key);
    const received: Buffer[] = [];
    client.on("message", (data) => received.push(data as Buffer));
    await opened(client);
    expect(client.protocol).toBe("binary");
    client.send(Buffer.from([1, 2, 3]));
    await until(() => received.length === 2);
    expect(received).toEqual([Buffer.from("RFB 003.008\n"), Buffer.from([1, 2, 3])]);
    client.close();
    await closed(client);
  }
  expect(asked).toBe(`/websockify?token=${proxyToken(tokenKey, id)}`);
});

test("who may not is refused by HTTP before the upgrade", async () => {
  const { id, apply, connect, ticket } = await open();
  await apply(...running);
  const other = "00000000-0000-4000-8000-000000000000";
  const path = `/v1/sessions/${id}/desktop`;
  expect(await refused(connect(path))).toBe(401);
  expect(await refused(connect(path, "berth_acme_wrong"))).toBe(401);
  expect(await refused(connect(`${path}?ticket=abc`))).toBe(401);
  expect(await refused(connect(`${path}?ticket=${await ticket(other)}`))).toBe(401);
  expect(await refused(connect(`${path}?ticket=`, keyOf("acme")))).toBe(401);
  expect(await refused(connect(path, keyOf("beta")))).toBe(404);
  expect(await refused(connect(`/v1/sessions/${other}/desktop`, keyOf("acme")))).toBe(404);
  expect(await refused(connect("/v1/sessions/abc/desktop", keyOf("acme")))).toBe(404);
  expect(await refused(connect("/elsewhere", keyOf("acme")))).toBe(404);
});

test("a session that isn't running yet, or is over, is told by the close code and in words", async () => {
  const { id, apply, connect } = await open();
  const see = () => closed(connect(`/v1/sessions/${id}/desktop`, keyOf("acme")));
  await apply({ type: "waiting", reason: "Waiting for room" });
  expect(await see()).toEqual({ code: closeCodes.notRunning, reason: "The session is queued: Waiting for room" });
  await apply({ type: "fail", cause: "agent-error", reason: "x".repeat(300) });
  expect(await see()).toMatchObject({
    code: closeCodes.ended,
    reason: expect.stringMatching(/^The session is stopping: x+$/),
  });
});

test("a desktop that can't be reached, or goes away, is told apart from a session that ended", async () => {
  const { id, apply, connect, desktops } = await open();
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  await until(() => desktops.clients.size === 1);
  for (const socket of desktops.clients) socket.terminate();
  expect((await closed(client)).code).toBe(closeCodes.unreachable);

  const second = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(second);
  await until(() => desktops.clients.size === 1);
  await apply({ type: "stop", cause: "user", reason: "Stopped by the user" });
  for (const socket of desktops.clients) socket.close();
  expect(await closed(second)).toEqual({
    code: closeCodes.ended,
    reason: "The session is stopping: Stopped by the user",
  });

  await new Promise((resolve) => desktops.close(resolve));
});

test("the pod's side is closed when the user leaves, and nothing is counted as open", async () => {
  const { id, apply, connect, desktops, metrics } = await open();
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  await until(() => desktops.clients.size === 1);
  client.terminate();
  await until(() => desktops.clients.size === 0);
  expect((await metrics.desktops.get()).values[0]?.value).toBe(0);
});

test("a user who reads slowly slows the desktop down, and nothing is lost", async () => {
  const total = 64;
  const chunk = randomBytes(1024 * 1024);
  let sent = 0;
  const { id, apply, connect } = await open((socket) => {
    for (let count = 0; count < total; count += 1) socket.send(chunk, () => (sent += 1));
  });
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  let received = 0;
  client.on("message", (data) => {
    received += (data as Buffer).length;
  });
  await opened(client);
  client.pause();
  let before = -1;
  while (sent > before) {
    before = sent;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  expect(sent).toBeLessThan(total);
  client.resume();
  await until(() => received === total * chunk.length);
});

test("when the API ends, desktops are told to connect again", async () => {
  const { id, apply, connect, gateway } = await open();
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  const told = closed(client);
  await gateway.beforeApplicationShutdown();
  expect((await told).code).toBe(closeCodes.restart);
});
