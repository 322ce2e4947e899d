/** Tests the desktop's WebSocket. A WebSocket server of the test replaces the session's vnc-proxy. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, onTestFinished, test, vi } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Access } from "../api/access/access.ts";
import { Authenticator } from "../api/access/authenticator.ts";
import { RateLimit } from "../api/access/rateLimit.ts";
import { Revocations } from "../api/access/revocations.ts";
import type { DesktopMode } from "../api/access/tickets.ts";
import { Tickets } from "../api/access/tickets.ts";
import { proxyToken } from "../channel/token.ts";
import { TenantsFile } from "../config/tenantsFile.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import type { SessionEvent } from "../domain/states/state.ts";
import { scopes, type Tenant } from "../domain/tenants.ts";
import { PlaceLeases } from "../queue/placeLeases.ts";
import { Activity } from "../store/activity.ts";
import { recordsOn } from "../store/records.ts";
import { Metrics } from "../telemetry/metrics.ts";
import {
  cipher,
  credentialOf,
  emptyRedis,
  freshDatabase,
  holdIntervals,
  keyOf,
  patienceMs,
  sessionOf,
  sha256,
  silent,
  tenant,
  tenantsFile,
  writeTenants,
} from "../testing/fixtures.ts";
import { serveRfb } from "../testing/rfbServer.ts";
import { closeCodes, DesktopGateway } from "./desktopGateway.ts";
import { Places } from "./places.ts";
import { WebSockets } from "./webSockets.ts";

const tokenKey = "0123456789abcdef0123456789abcdef";

type KeyOfTenant = Tenant["keys"][number];

interface Closed {
  code: number;
  reason: string;
}

/** Starts `processes` gateways that share the stores; `origins` are their URLs. */
async function open(
  onDesktop: (socket: WebSocket, url: string) => void = () => {},
  processes = 1,
  perMinute = 100_000,
) {
  const desktops = new WebSocketServer({ port: 0, host: "127.0.0.1", handleProtocols: () => "binary" });
  desktops.on("connection", (socket, request) => onDesktop(socket, request.url ?? ""));
  await new Promise((resolve) => desktops.once("listening", resolve));

  const { database } = await freshDatabase();
  const store = recordsOn(database, cipher, { generation: 0 });
  const file = tenantsFile(tenant("acme"), tenant("beta"));
  const tenants = new TenantsFile(file, silent);
  const { grants } = store;
  const revocations = new Revocations(tenants, { grants });
  const tickets = new Tickets(TokenKeys.one(tokenKey));
  const metrics = new Metrics();
  const redis = await emptyRedis();
  const activity = new Activity(store.commands, silent);
  const touched: string[] = [];
  const gatewayOf = () =>
    new WebSockets({
      sessionSockets: [
        new DesktopGateway({
          queries: store.queries,
          commands: store.commands,
          access: new Access(
            new Authenticator(tenants, tickets, undefined, undefined, undefined, grants),
            new RateLimit(redis, perMinute, silent, patienceMs),
          ),
          activity: {
            touch: (sessionId) => {
              touched.push(sessionId);
              activity.touch(sessionId);
            },
          },
          proxyToken: ({ id }) => proxyToken(tokenKey, id),
          metrics,
          logger: silent,
          port: (desktops.address() as AddressInfo).port,
        }),
      ],
      addressOf: (request) => request.socket.remoteAddress,
      places: new Places(new PlaceLeases(redis), silent, patienceMs),
      connections: { add: () => () => {} },
      revocations,
      logger: silent,
    });
  const gateways = Array.from({ length: processes }, gatewayOf);
  const servers = await Promise.all(
    gateways.map(async (gateway) => {
      const server = createServer();
      server.on("upgrade", (request, socket, head) => void gateway.upgrade(request, socket, head));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return server;
    }),
  );
  onTestFinished(async () => {
    await Promise.all(gateways.map((gateway) => gateway.beforeApplicationShutdown()));
    revocations.onApplicationShutdown();
    tenants.onApplicationShutdown();
    for (const socket of desktops.clients) socket.terminate();
    desktops.close();
    for (const server of servers) server.close();
  });

  const request = { tenant: "acme", namespace: "tenant-acme", tier: "small" } as const;
  const { id } = sessionOf(await store.creation.create(request, { name: "test" }));
  const origins = servers.map((server) => `ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const [gateway = gatewayOf()] = gateways;
  return {
    id,
    gateway,
    /** Replaces acme's keys in the tenants file. */
    setKeys: (keys: KeyOfTenant[]) => writeTenants(file, [tenant("acme", { keys })]),
    desktops,
    database,
    metrics,
    /** The sessions whose activity was recorded, in order. */
    touched,
    /** Seconds since the last activity. */
    idleSeconds: async () => (Date.now() - Number((await store.queries.find(id))?.lastActiveAt)) / 1000,
    /** The session's events of the type `desktop` in the audit trail: what was done, by whom, and from which address. */
    uses: async () =>
      (await store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 100))
        .filter(({ type }) => type === "desktop")
        .map(({ reason, actor, address }) => [reason, actor, address]),
    leaveIdle: () => sql`update sessions set last_active_at = now() - interval '1 hour'`.execute(database),
    ticket: async (sessionId = id, mode: DesktopMode = "interactive", lifetimeSeconds = 300) => {
      const issued = await tickets.issue({ sessionId, tenant: "acme", mode }, credentialOf("acme"), lifetimeSeconds);
      await grants.add({
        ...issued,
        sessionId: id,
        kind: "desktop",
        access: mode,
        path: null,
        madeBy: { name: "test" },
      });
      return issued.ticket;
    },
    revoke: (ticket: string) =>
      grants.revoke(
        JSON.parse(Buffer.from(ticket.split(".")[1] ?? "", "base64url").toString()).jti,
        "desktop",
        { sessionId: id, tenant: "acme" },
        { name: "test" },
      ),
    async apply(...events: SessionEvent[]): Promise<void> {
      for (const event of events) {
        const seen = await store.queries.find(id);
        if (seen !== undefined) await store.commands.apply(seen, event, { name: "test" });
      }
    },
    /** Connects like a page in a browser, which sends its origin. */
    connectPage: (path: string) =>
      new WebSocket((origins[0] ?? "") + path, ["binary"], { headers: { origin: "https://berth.example" } }),
    connect: (path: string, key?: string, process = 0) =>
      new WebSocket(
        (origins[process] ?? "") + path,
        ["binary"],
        key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } },
      ),
  };
}

const running: SessionEvent[] = [{ type: "admitted" }, { type: "ready", podIp: "127.0.0.1" }];

/** Whether the gateway answers a ping. A close that was sent before the answer arrives before it, and makes the result false. */
const answersPing = async (socket: WebSocket): Promise<boolean> => {
  socket.ping();
  return Promise.race([once(socket, "pong").then(() => true), closed(socket).then(() => false)]);
};

const opened = (socket: WebSocket) =>
  new Promise<void>((resolve, reject) => socket.once("open", resolve).once("error", reject));
const closed = (socket: WebSocket) =>
  new Promise<Closed>((resolve) =>
    socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
  );
/** The HTTP status with which the upgrade was refused. */
const refused = (socket: WebSocket) =>
  new Promise<number | undefined>((resolve, reject) => {
    socket.on("error", () => {});
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode));
    socket.once("open", () => reject(new Error("it was let in")));
  });

/** The HTTP status of the answer to the upgrade. */
const outcome = (socket: WebSocket) =>
  new Promise<number | undefined>((resolve) => {
    socket.on("error", () => {});
    socket.once("unexpected-response", (_request, response) => resolve(response.statusCode));
    socket.once("open", () => resolve(101));
  });

test("a revoked ticket opens nothing at any process, and its open connections are closed at the check every 500 ms", async () => {
  const pass = holdIntervals();
  const { id, apply, connect, ticket, revoke } = await open((socket) => serveRfb(socket, () => {}), 2);
  await apply(...running);
  const [revoked, other] = [await ticket(), await ticket()];
  const path = (of: string) => `/v1/sessions/${id}/desktop?ticket=${of}`;
  const sockets = [0, 1].map((process) => connect(path(revoked), undefined, process));
  const stays = connect(path(other));
  await Promise.all([...sockets, stays].map(opened));
  const ends = sockets.map(closed);
  expect(await revoke(revoked)).toBe(true);
  for (const process of [0, 1]) expect(await refused(connect(path(revoked), undefined, process))).toBe(401);
  pass(500);
  const end = { code: closeCodes.lost, reason: "The link has been revoked." };
  expect(await until("both are closed", 30, () => Promise.all(ends))).toEqual([end, end]);
  expect(await answersPing(stays)).toBe(true);
  stays.close();
});

test("the audit trail says who opens and closes a desktop, with which ticket and from where", async () => {
  const { id, apply, connect, ticket, uses } = await open((socket) => serveRfb(socket, () => {}));
  await apply(...running);
  const [used, viewed] = [await ticket(), await ticket(id, "view")];
  const idOf = (text: string) => JSON.parse(Buffer.from(text.split(".")[1] ?? "", "base64url").toString()).jti;
  for (const [query, key] of [
    [`?ticket=${used}`, undefined],
    [`?ticket=${viewed}`, undefined],
    ["", keyOf("acme")],
  ] as const) {
    const socket = connect(`/v1/sessions/${id}/desktop${query}`, key);
    await opened(socket);
    socket.close();
    await until("its end is noted", 30, uses, (all) => all.length % 2 === 0);
  }
  expect(await refused(connect(`/v1/sessions/${id}/desktop`, "berth_acme_wrong"))).toBe(401);
  expect(await uses()).toEqual([
    ["opens the desktop", `ticket:${idOf(used)}`, "127.0.0.1"],
    ["closes the desktop", `ticket:${idOf(used)}`, "127.0.0.1"],
    ["opens the desktop in view mode", `ticket:${idOf(viewed)}`, "127.0.0.1"],
    ["closes the desktop in view mode", `ticket:${idOf(viewed)}`, "127.0.0.1"],
    ["opens the desktop", "key:default", "127.0.0.1"],
    ["closes the desktop", "key:default", "127.0.0.1"],
  ]);
});

test("with a ticket or a key, messages of each side arrive at the other", async () => {
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
    await until(
      "both messages have arrived",
      30,
      () => received,
      ({ length }) => length === 2,
    );
    expect(received).toEqual([Buffer.from("RFB 003.008\n"), Buffer.from([1, 2, 3])]);
    client.close();
    await closed(client);
  }
  expect(asked).toBe(`/websockify?token=${proxyToken(tokenKey, id)}`);
});

test("the desktop of a session without a desktop is refused with the reason, whether the session is running or not", async () => {
  const { id, apply, connect, database, uses } = await open();
  await database.updateTable("sessions").set({ image: "browser", desktop: false }).execute();
  const close = { code: closeCodes.none, reason: "The session has no desktop, because its image browser has none." };
  expect(await closed(connect(`/v1/sessions/${id}/desktop`, keyOf("acme")))).toEqual(close);
  await apply(...running);
  expect(await closed(connect(`/v1/sessions/${id}/desktop`, keyOf("acme")))).toEqual(close);
  expect(await uses()).toEqual([]); // no desktop was opened
});

const hello = Buffer.concat([Buffer.from("RFB 003.008\n"), Buffer.from([1, 1])]);
const key = Buffer.from([4, 1, 0, 0, 0, 0, 0, 0x61]);
const pointer = Buffer.from([5, 1, 0, 10, 0, 10]);
const cutText = Buffer.from([6, 0, 0, 0, 0, 0, 0, 2, 0x68, 0x69]);
const updateRequest = Buffer.from([3, 0, 0, 0, 0, 0, 5, 0, 3, 32]);

test.each(["ticket", "key"])("a viewer with a %s sees the desktop and can't control it", async (by) => {
  const received: Buffer[] = [];
  let byPassword = false;
  const { id, apply, connect, ticket, idleSeconds, leaveIdle } = await open((socket) => {
    serveRfb(socket, (data, isViewOnly) => {
      byPassword = isViewOnly;
      received.push(data);
      socket.send(Buffer.from("a picture"));
    });
  });
  await apply(...running);
  await leaveIdle();
  const query = by === "ticket" ? `?ticket=${await ticket(id, "view")}` : "?mode=view";
  const client = connect(`/v1/sessions/${id}/desktop${query}`, by === "key" ? keyOf("acme") : undefined);
  const pictures: string[] = [];
  client.on("message", (data) => pictures.push(String(data)));
  await opened(client);
  for (const message of [hello, key, pointer, cutText, updateRequest]) client.send(message);
  await until(
    "the viewer's requests have arrived at the desktop",
    30,
    () => Buffer.concat(received),
    ({ length }) => length >= 1 + updateRequest.length,
  );
  expect(Buffer.concat(received)).toEqual(Buffer.concat([Buffer.from([1]), updateRequest]));
  await until("a picture is here", 30, () => pictures.at(-1) === "a picture");
  // The server itself knows that this client may only view, and sends it no clipboard.
  expect(byPassword).toBe(true);
  expect(await idleSeconds()).toBeGreaterThan(3_000);

  const close = closed(client);
  client.send(Buffer.from([77]));
  expect(await close).toEqual({ code: closeCodes.notUnderstood, reason: "message 77 is not known" });
});

test("what a user does counts as activity, and looking does not", async () => {
  const received: Buffer[] = [];
  const { id, apply, connect, idleSeconds, leaveIdle, touched } = await open((socket) =>
    socket.on("message", (data) => received.push(data as Buffer)),
  );
  await apply(...running);
  await leaveIdle();
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  const looking = Buffer.concat([hello, updateRequest]);
  client.send(looking);
  // When a message has reached the desktop, the gateway has already checked the message.
  await until(
    "the desktop gets a request for a picture",
    30,
    () => Buffer.concat(received),
    (all) => all.equals(looking),
  );
  expect(touched).toEqual([]);
  expect(await idleSeconds()).toBeGreaterThan(3_000);
  client.send(key);
  await until("the activity is noted", 30, idleSeconds, (seconds) => seconds < 60);
  expect(touched).toEqual([id]);
  client.close();
  await closed(client);
});

test("a client without permission is refused over HTTP before the upgrade", async () => {
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

test("for a session that is not running or has ended, the close code and the reason say so", async () => {
  const { id, apply, connect } = await open();
  const see = () => closed(connect(`/v1/sessions/${id}/desktop`, keyOf("acme")));
  await apply({ type: "setReason", reason: "Waiting for room" });
  expect(await see()).toEqual({ code: closeCodes.notRunning, reason: "The session is queued: Waiting for room" });
  await apply({ type: "fail", cause: "agent-error", reason: "x".repeat(300) });
  expect(await see()).toMatchObject({
    code: closeCodes.ended,
    reason: expect.stringMatching(/^The session is stopping: x+$/),
  });
});

test("the close code distinguishes an unreachable desktop from a session that ended", async () => {
  const { id, apply, connect, desktops } = await open();
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  await until(
    "the desktop is connected",
    30,
    () => desktops.clients.size,
    (size) => size === 1,
  );
  for (const socket of desktops.clients) socket.terminate();
  expect((await closed(client)).code).toBe(closeCodes.unreachable);

  const second = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(second);
  await until(
    "the desktop is connected",
    30,
    () => desktops.clients.size,
    (size) => size === 1,
  );
  await apply({ type: "stop", cause: "user", reason: "Stopped by the user" });
  for (const socket of desktops.clients) socket.close();
  expect(await closed(second)).toEqual({
    code: closeCodes.ended,
    reason: "The session is stopping: Stopped by the user",
  });

  await new Promise((resolve) => desktops.close(resolve));
});

test("the connection to the pod is closed when the user disconnects, and the count of open connections is 0", async () => {
  const { id, apply, connect, desktops, metrics } = await open();
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  await until(
    "the desktop is connected",
    30,
    () => desktops.clients.size,
    (size) => size === 1,
  );
  client.terminate();
  await until(
    "the connection to the desktop is closed",
    30,
    () => desktops.clients.size,
    (size) => size === 0,
  );
  expect((await metrics.desktops.get()).values[0]?.value).toBe(0);
});

test("a user who reads slowly slows the desktop down, and nothing is lost", async () => {
  const total = 64;
  const chunk = randomBytes(1024 * 1024);
  /** How many chunks the desktop has sent, per connection. */
  const sent: number[] = [];
  const { id, apply, connect } = await open((socket) => {
    const index = sent.push(0) - 1;
    for (let count = 0; count < total; count += 1) {
      socket.send(chunk, () => {
        sent[index] = (sent[index] ?? 0) + 1;
      });
    }
  });
  await apply(...running);
  const watch = async () => {
    const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
    let received = 0;
    client.on("message", (data) => {
      received += (data as Buffer).length;
    });
    await opened(client);
    return {
      client,
      all: () =>
        until(
          "all data has arrived",
          50,
          () => received,
          (bytes) => bytes === total * chunk.length,
        ),
    };
  };
  const slow = await watch();
  slow.client.pause();
  await until(
    "the desktop sends",
    30,
    () => sent,
    ([first = 0]) => first > 0,
  );
  // A second user, who starts later, gets all of the data. In this time, the first user's desktop could have sent everything
  // too. That desktop has not sent everything, because the first user reads nothing.
  await (await watch()).all();
  expect(sent[0]).toBeLessThan(total);
  slow.client.resume();
  await slow.all();
});

test("of a hundred viewers with links no more than the cap reach the session's proxy, whichever API process they come to", async () => {
  const { id, apply, connect, desktops, ticket } = await open(() => {}, 2);
  await apply(...running);
  const links = [await ticket(id, "view"), await ticket(id, "view")];
  const path = `/v1/sessions/${id}/desktop`;
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, (_, index) => {
      const address = `${path}?ticket=${links[index % 2]}`;
      return outcome(connect(address, undefined, index % 3 === 0 ? 1 : 0));
    }),
  );
  // Each link allows 10 connections, and the session allows 15 views.
  expect(outcomes.filter((status) => status === 101)).toHaveLength(15);
  expect(outcomes.filter((status) => status === 429)).toHaveLength(85);
  await until(
    "15 desktops are connected",
    30,
    () => desktops.clients.size,
    (size) => size === 15,
  );
  const worker = connect(path, keyOf("acme"));
  await opened(worker);
  worker.close();
});

test("a link at its limit is refused with the reason, and works again when a connection is closed", async () => {
  const { id, apply, connect, connectPage, ticket } = await open();
  await apply(...running);
  const address = `/v1/sessions/${id}/desktop?ticket=${await ticket(id, "view")}`;
  const clients = Array.from({ length: 10 }, () => connect(address));
  await Promise.all(clients.map(opened));
  const detail = await new Promise((resolve) => {
    const client = connect(address);
    client.on("error", () => {});
    client.once("unexpected-response", async (_request, response) =>
      resolve(JSON.parse(Buffer.concat(await response.toArray()).toString()).detail),
    );
  });
  const full = "The ticket has 10 desktops open. Close some of them.";
  expect(detail).toBe(full);
  // A browser does not show the HTTP answer to the page's script. So for a page, the gateway opens the WebSocket and closes it
  // with a code that says why.
  expect(await closed(connectPage(address))).toEqual({ code: closeCodes.tooMuch, reason: full });
  const left = closed(clients[0] as WebSocket);
  clients[0]?.close();
  await left;
  await until(
    "a connection was closed",
    30,
    () => outcome(connect(address)),
    (status) => status === 101,
  );
});

test("a link is refused with 429 if it is tried too often", async () => {
  const { id, apply, connect, connectPage, ticket } = await open(() => {}, 1, 3);
  await apply(...running);
  const address = `/v1/sessions/${id}/desktop?ticket=${await ticket(id, "view")}`;
  for (let calls = 0; calls < 3; calls += 1) await opened(connect(address));
  expect(await refused(connect(address))).toBe(429);
  expect(await closed(connectPage(address))).toMatchObject({ code: closeCodes.tooMuch });
  await opened(connect(`/v1/sessions/${id}/desktop?ticket=${await ticket(id, "view")}`)); // another link
});

const defaultKey = { name: "default", sha256: sha256(keyOf("acme")), expiresAt: null, scopes: [...scopes] };
const otherKey = { ...defaultKey, name: "other", sha256: sha256("other") };

test.each([
  ["has been removed", [otherKey]],
  ["has expired", [{ ...defaultKey, expiresAt: "2020-01-01T00:00:00Z" }]],
  ["has lost the scope desktop", [{ ...defaultKey, scopes: ["read" as const, "write" as const] }]],
])(
  "a key that %s loses its desktop and what its interactive ticket opened, within 5 s; a view link stays",
  async (why, keys) => {
    const pass = holdIntervals();
    const { id, apply, connect, desktops, ticket, setKeys } = await open();
    await apply(...running);
    const path = `/v1/sessions/${id}/desktop`;
    const [ticketOfBefore, link] = [await ticket(), await ticket(id, "view")];
    const [byKey, byTicket, byLink] = [
      connect(path, keyOf("acme")),
      connect(`${path}?ticket=${ticketOfBefore}`),
      connect(`${path}?ticket=${link}`),
    ];
    await Promise.all([byKey, byTicket, byLink].map(opened));
    const ends = Promise.all([closed(byKey), closed(byTicket)]);
    setKeys(keys);
    pass(5_000);
    const end = { code: closeCodes.lost, reason: `The key default ${why}.` };
    expect(await until("both are closed", 30, () => ends)).toEqual([end, end]);
    expect(byLink.readyState).toBe(WebSocket.OPEN);
    await until(
      "one desktop connection of the session is left",
      30,
      () => desktops.clients.size,
      (size) => size === 1,
    );
    expect(await refused(connect(`${path}?ticket=${ticketOfBefore}`))).toBe(401);
  },
);

test("a view link ends at its own expiry, and an interactive ticket's connections stay open", async () => {
  vi.useFakeTimers({ toFake: ["Date"] });
  onTestFinished(() => void vi.useRealTimers());
  const { id, apply, connect, ticket } = await open();
  await apply(...running);
  const path = `/v1/sessions/${id}/desktop`;
  const [link, interactiveLink] = [await ticket(id, "view", 60), await ticket(id, "interactive", 60)];
  const view = connect(`${path}?ticket=${link}`);
  const interactive = connect(`${path}?ticket=${interactiveLink}`);
  const end = closed(view);
  await Promise.all([view, interactive].map(opened));
  vi.setSystemTime(Date.now() + 61_000);
  expect(await until("the view is closed", 30, () => end)).toEqual({
    code: closeCodes.lost,
    reason: "The link has expired.",
  });
  expect(await answersPing(interactive)).toBe(true);
});

test("a flood of requests by one viewer reaches the desktop as a few, and what was asked last is answered", async () => {
  let requests = 0;
  const { id, apply, connect, ticket } = await open((socket) =>
    serveRfb(socket, (data) => {
      requests += data.length / updateRequest.length;
    }),
  );
  await apply(...running);
  const viewer = connect(`/v1/sessions/${id}/desktop?ticket=${await ticket(id, "view")}`);
  await opened(viewer);
  viewer.send(hello);
  const before = performance.now();
  const greetings = 1 / updateRequest.length;
  for (let sent = 0; sent < 500; sent += 1) viewer.send(updateRequest);
  await until(
    "the burst and the delayed request have arrived",
    30,
    () => requests - greetings,
    (count) => count > 10,
  );
  // The gateway lets through a burst of 10 requests for full pictures, and then 5 per second.
  expect(requests - greetings).toBeLessThanOrEqual(11 + ((performance.now() - before) / 1_000) * 5);

  const close = closed(viewer);
  viewer.send(Buffer.concat(Array.from({ length: 10_000 }, () => updateRequest)));
  expect(await close).toEqual({
    code: closeCodes.tooMuch,
    reason: "The viewer sends more than 200 messages a second.",
  });
});

test("ten desktops of one link share the pace of one", async () => {
  let bytes = 0;
  const { id, apply, connect, ticket } = await open((socket) => serveRfb(socket, (data) => (bytes += data.length)));
  /** Waits until the desktop has this many requests, besides a ClientInit of one byte from each viewer. */
  const requests = () => Math.floor((bytes - 10) / updateRequest.length);
  await apply(...running);
  const path = `/v1/sessions/${id}/desktop?ticket=${await ticket(id, "view")}`;
  const viewers = Array.from({ length: 10 }, () => connect(path));
  await Promise.all(viewers.map(opened));
  const before = performance.now();
  for (const viewer of viewers) {
    viewer.send(hello);
    for (let sent = 0; sent < 100; sent += 1) viewer.send(updateRequest);
  }
  await until("some of what was kept has come after those at once", 30, requests, (count) => count > 12);
  // The gateway lets through a burst of 10 requests for full pictures, and then 5 per second, for all viewers together.
  expect(requests()).toBeLessThanOrEqual(11 + ((performance.now() - before) / 1_000) * 5);
});

test("when the API shuts down, desktops are told to connect again", async () => {
  const { id, apply, connect, gateway } = await open();
  await apply(...running);
  const client = connect(`/v1/sessions/${id}/desktop`, keyOf("acme"));
  await opened(client);
  const close = closed(client);
  await gateway.beforeApplicationShutdown();
  expect((await close).code).toBe(closeCodes.restart);
});
