/** From a session's event to the tenant's receiver, which is a server on this machine. */
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { toDeliveryJson } from "../../api/deliveryJson.ts";
import { TenantsFile } from "../../config/tenantsFile.ts";
import type { Session } from "../../domain/session.ts";
import type { Tenant } from "../../domain/tenants.ts";
import { DeliveryStore, type Result, type Room } from "../../store/deliveryStore.ts";
import { recordsOn } from "../../store/records.ts";
import { Metrics } from "../../telemetry/metrics.ts";
import { cipher, freshDatabase, sessionOf, silent, tenant, tenantsFile } from "../../testing/fixtures.ts";
import { WebhookSender } from "./webhookSender.ts";

const user = { name: "key:default" };
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

/** Starts the server, which ends with the test and closes no unused connection before. Returns the URL of a webhook. */
async function listen(server: Server): Promise<string> {
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

/** A receiver that answers with these statuses in turn, and then with 200. */
async function receiver(...statuses: number[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    received.push({ headers: request.headers, body });
    response.writeHead(statuses.shift() ?? 200, { location: "http://127.0.0.1:1/" }).end("thanks");
  });
  const connections = { count: 0 };
  server.on("connection", () => {
    connections.count += 1;
  });
  return { received, connections, url: `${await listen(server)}?token=1` };
}

/** A receiver that accepts connections and answers nothing, or cuts them. After `end`, it cuts all. */
async function brokenReceiver(does: "hang" | "cut") {
  const taken = { count: 0 };
  let isCutting = does === "cut";
  const server = createServer((request) => {
    taken.count += 1;
    if (isCutting) request.socket.destroy();
  });
  const end = () => {
    isCutting = true;
    server.closeAllConnections();
  };
  return { taken, end, url: await listen(server) };
}

/**
 * `isWaiting: true`: the senders start only when the test calls `begin`. Default: the senders start at once. `onListen` gets
 * the function that rings the bell. As long as `settleFails` returns true, no result is stored.
 */
async function open(
  url: string,
  {
    allowPrivate = true,
    senders = 1,
    intervalMs = 20,
    isWaiting = false,
    onListen = (_ring: () => void): void => {},
    settleFails = (): boolean => false,
  } = {},
) {
  const { database } = await freshDatabase();
  const by = (generation: number) => recordsOn(database, cipher, { generation });
  const sessions = by(0);
  const deliveries = new DeliveryStore(database);
  const file = tenantsFile(tenant("acme", { webhooks: [{ url, secret }] }), tenant("beta"));
  const tenants = new TenantsFile(file, silent, 20);
  const metrics = new Metrics();
  onTestFinished(() => tenants.onApplicationShutdown());
  const bell = {
    listen: (ring: () => void) => {
      onListen(ring);
      return () => {};
    },
  };
  // No attempt and no unused connection ends by time, however slow the machine is.
  const patient = { timeoutMs: 600_000, idleMs: 600_000 };
  const options = { bell, tenants, metrics, logger: silent, allowPrivate, intervalMs, ...patient };
  const make = () => {
    const progress = { iterations: 0 };
    const store = {
      fanOut: (known: typeof tenants) => deliveries.fanOut(known),
      take: async (rooms: Room[], usual: number) => {
        const taken = await deliveries.take(rooms, usual);
        progress.iterations += 1; // the last call that an iteration waits for
        return taken;
      },
      putOff: (...late: Parameters<DeliveryStore["putOff"]>) => deliveries.putOff(...late),
      settle: async (results: Result[]) => {
        if (settleFails()) throw new Error("Postgres does not answer");
        await deliveries.settle(results);
      },
    };
    const sender = new WebhookSender({ ...options, store });
    onTestFinished(() => sender.onApplicationShutdown());
    return { progress, sender };
  };
  const running = Array.from({ length: senders }, make);
  if (!isWaiting) for (const { sender } of running) sender.onApplicationBootstrap();
  const setFile = (generation: number, ...tenants: Tenant[]) =>
    writeFileSync(file, JSON.stringify({ generation, tenants }));
  return {
    deliveries,
    tenants,
    startAnother: () => make().sender.onApplicationBootstrap(),
    begin: () => {
      for (const { sender } of running) sender.onApplicationBootstrap();
    },
    /** Waits until each sender has made one complete iteration since the call. */
    allHaveIterated: async () => {
      const before = running.map(({ progress }) => progress.iterations);
      const since = () => running.map(({ progress }, index) => progress.iterations - (before[index] ?? 0));
      await until("two more iterations of each sender", 30, since, (iterations) =>
        iterations.every((count) => count >= 2),
      );
    },
    /** Stops the senders, after their running deliveries. */
    stop: () => Promise.all(running.map(({ sender }) => sender.onApplicationShutdown())),
    /** Changes the tenants of the stack. */
    setTenants: (...tenants: Tenant[]) => setFile(1, ...tenants),
    setFile,
    listed: async () => ((await deliveries.list({}, 100, undefined))?.items ?? []).map(toDeliveryJson),
    hurry: () => sql`update webhook_deliveries set next_at = now()`.execute(database),
    lastAttempt: () => sql`update webhook_deliveries set next_at = now(), attempts = 11`.execute(database),
    outcomes: async () =>
      Object.fromEntries((await metrics.webhooks.get()).values.map(({ labels, value }) => [labels.outcome, value])),
    /** `generation`: the generation of the tenants file that the API has read. Default 0, as in the first file. */
    create: async (name = "acme", generation = 0) =>
      sessionOf(
        await by(generation).creation.create({ tenant: name, namespace: `tenant-${name}`, tier: "small" }, user),
      ),
    end: (session: Session) =>
      sessions.commands.apply(session, { type: "stop", cause: "user", reason: "Stopped" }, user),
  };
}

test("each event arrives once, signed, however many workers there are; and other tenants' events don't", async () => {
  const { received, url } = await receiver();
  const { create, listed, allHaveIterated, stop } = await open(url, { senders: 3 });
  await create("beta");
  for (let count = 0; count < 10; count += 1) await create();
  await until("all is delivered", 30, listed, ({ length }) => received.length >= 10 && length === 0);
  await allHaveIterated();
  await stop();
  expect(received).toHaveLength(10);
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(10);
  for (const { headers, body } of received) {
    expect(JSON.parse(body)).toMatchObject({
      type: "session.queued",
      timestamp: expect.any(String),
      data: { type: "created", tenant: "acme", state: "queued", actor: "key:default" },
    });
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const signature = createHmac("sha256", Buffer.from(secret.slice(6), "base64"))
      .update(signed)
      .digest("base64");
    expect(headers["webhook-signature"]).toBe(`v1,${signature}`);
    expect(Math.abs(Number(headers["webhook-timestamp"]) - Date.now() / 1000)).toBeLessThan(60);
  }
});

test("a new tenant's first events arrive, though its worker reads of it later than the API did", async () => {
  const { received, url } = await receiver();
  const { create, setTenants, listed, allHaveIterated } = await open(url);
  await create("newcomer", 1);
  await create();
  await allHaveIterated();
  expect(await listed()).toEqual([]);
  expect(received).toHaveLength(0);
  const webhooks = [{ url, secret }];
  setTenants(tenant("acme", { webhooks }), tenant("newcomer", { webhooks }));
  await until("both are delivered", 30, listed, ({ length }) => received.length === 2 && length === 0);
  expect(received.map(({ body }) => JSON.parse(body).data.tenant)).toEqual(["newcomer", "acme"]);
});

test("a tenant that was taken out holds nobody's events up", async () => {
  const { received, url } = await receiver();
  const { create, end, setTenants, tenants, allHaveIterated } = await open(url);
  const old = await create("beta");
  await allHaveIterated();
  setTenants(tenant("acme", { webhooks: [{ url, secret }] }));
  await until("the change is read", 30, () => tenants.get("beta") === undefined);
  await end(old);
  await create();
  await until(
    "the event has arrived",
    30,
    () => received,
    ({ length }) => length === 1,
  );
});

test("a delivery waits while its sender has not read of the webhook; it is deleted if the webhook was removed", async () => {
  const { received, url } = await receiver();
  const { deliveries, create, begin, setFile, tenants, listed, hurry, allHaveIterated } = await open(url, {
    isWaiting: true,
  });
  const webhooks = [{ url: `${url}&new=1`, secret }];
  const newer = tenant("acme", { webhooks });
  await create();
  await deliveries.fanOut({ get: () => newer, generation: 2 });
  expect(await listed()).toHaveLength(1);
  setFile(1, tenant("acme"));
  await until("the older file is read", 30, () => tenants.generation === 1);
  begin();
  await allHaveIterated();
  expect(await listed()).toMatchObject([{ state: "pending", attempts: 1 }]);
  expect(received).toHaveLength(0);
  setFile(2, tenant("acme"));
  await until("the newer file is read", 30, () => tenants.generation === 2);
  await hurry();
  await until("it is gone", 30, listed, ({ length }) => length === 0);
  expect(received).toHaveLength(0);
});

test("a failed delivery is tried again with the same id, and redirects are not followed", async () => {
  const { received, url } = await receiver(500, 302);
  const { create, listed, hurry, outcomes } = await open(url);
  await create();
  for (const [attempts, lastError] of [
    [1, "answered 500"],
    [2, "answered 302"],
  ] as const) {
    await until(`an attempt ${lastError}`, 30, listed, ([first]) => first?.lastError === lastError);
    expect(await listed()).toMatchObject([{ state: "pending", attempts, url: url.replace("?token=1", "") }]);
    await hurry();
  }
  await until("all is delivered", 30, listed, ({ length }) => length === 0);
  expect(received).toHaveLength(3);
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(await outcomes()).toEqual({ failed: 2, delivered: 1 });
});

test("a delivery that always fails is kept as dead, and can be sent again", async () => {
  const { received, url } = await receiver(500, 500);
  const { create, deliveries, listed, lastAttempt } = await open(url);
  await create();
  await until("the first attempt has failed", 30, listed, ([first]) => typeof first?.lastError === "string");
  await lastAttempt();
  await until("it is dead", 30, listed, ([first]) => first?.state === "dead");
  const [dead] = await listed();
  expect(dead).toMatchObject({ attempts: 12, nextAt: null, lastError: "answered 500", tenant: "acme" });
  expect(await deliveries.redeliver(dead?.id ?? "")).toMatchObject({ state: "pending", attempts: 0 });
  await until("all is delivered", 30, listed, ({ length }) => length === 0);
  expect(received).toHaveLength(3);
});

test("a receiver that answers 410 gets no more deliveries", async () => {
  const { url } = await receiver(410);
  const { create, listed } = await open(url);
  await create();
  await until("it is dead", 30, listed, ([first]) => first?.state === "dead");
});

test("without WEBHOOK_ALLOW_PRIVATE, nothing is sent to a private address", async () => {
  const { received, url } = await receiver();
  const { create, listed } = await open(url.replace("http:", "https:"), { allowPrivate: false });
  await create();
  const isRefused = ([first]: Awaited<ReturnType<typeof listed>>) =>
    first?.lastError === "127.0.0.1 is not a public address";
  await until("the address is refused", 30, listed, isRefused);
  expect(received).toHaveLength(0);
});

test("a receiver that hangs delays no other tenant's deliveries", async () => {
  const dead = await brokenReceiver("hang");
  const { received, url } = await receiver();
  const { create, setTenants, tenants, outcomes } = await open(dead.url);
  onTestFinished(dead.end); // so that running deliveries end at once
  setTenants(
    tenant("acme", { webhooks: [{ url: dead.url, secret }] }),
    tenant("beta", { webhooks: [{ url, secret }] }),
  );
  await until("the change is read", 30, () => tenants.get("beta")?.webhooks.length === 1);
  for (let count = 0; count < 30; count += 1) await create();
  await until("the dead receiver has some", 30, () => dead.taken.count >= 4);
  await create("beta");
  const isHere = () => received.length === 1;
  await until("the other's event is here", 30, isHere);
  await until("it is counted", 30, outcomes, ({ delivered }) => delivered === 1);
  expect(await outcomes()).toEqual({ delivered: 1 });
  expect(dead.taken.count).toBe(4);
});

test("deliveries to a receiver that failed three times in a row are postponed without being sent", async () => {
  const dead = await brokenReceiver("cut");
  const { create, begin, listed, outcomes } = await open(dead.url, { isWaiting: true });
  for (let count = 0; count < 30; count += 1) await create();
  begin();
  const failed = () => listed().then((items) => items.filter(({ lastError }) => lastError !== null));
  const all = await until("all thirty have failed", 30, failed, ({ length }) => length === 30);
  expect(all.every(({ state, attempts }) => state === "pending" && attempts === 1)).toBe(true);
  expect(dead.taken.count).toBe(4);
  expect(all.filter(({ lastError }) => lastError?.startsWith("not sent"))).toHaveLength(26);
  expect(await outcomes()).toEqual({ failed: 30, dead: 0 });
});

test("a delivery that is postponed for the twelfth time is dead", async () => {
  const { url } = await brokenReceiver("cut");
  const { create, begin, listed, lastAttempt, hurry, allHaveIterated } = await open(url, { isWaiting: true });
  for (let count = 0; count < 4; count += 1) await create();
  begin();
  const failed = () => listed().then((items) => items.filter(({ lastError }) => lastError !== null));
  await until("all four have failed", 30, failed, ({ length }) => length === 4);
  await lastAttempt();
  const dead = () => listed().then((items) => items.filter(({ state }) => state === "dead"));
  await until("all four are dead", 30, dead, ({ length }) => length === 4);
  await hurry();
  await allHaveIterated();
  expect((await listed()).map(({ state, attempts }) => [state, attempts])).toEqual(Array(4).fill(["dead", 12]));
});

test("due deliveries are sent without a pause between batches", async () => {
  const { received, url } = await receiver();
  const { create, begin, listed } = await open(url, { isWaiting: true, intervalMs: 600_000 });
  for (let count = 0; count < 60; count += 1) await create();
  begin();
  await until("all is delivered", 30, listed, ({ length }) => received.length === 60 && length === 0);
});

test("a receiver that answers gets more deliveries at the same time than a new one", async () => {
  const waiting: (() => void)[] = [];
  let most = 0;
  let answered = 0;
  const server = createServer((request, response) => {
    request.resume();
    waiting.push(() => response.end("thanks"));
    most = Math.max(most, waiting.length);
    // The first 20 deliveries are answered at once, later ones only when twelve of them wait at the same time.
    if (answered >= 20 && waiting.length < 12) return;
    for (const answer of waiting.splice(0)) {
      answer();
      answered += 1;
    }
  });
  const { create, begin } = await open(await listen(server), { isWaiting: true });
  for (let count = 0; count < 44; count += 1) await create();
  begin();
  await until("twelve run at the same time", 30, () => most >= 12);
});

test("deliveries use the connections of earlier ones", async () => {
  const { received, connections, url } = await receiver();
  const { create, listed } = await open(url);
  for (let count = 1; count <= 5; count += 1) {
    await create();
    await until("it is delivered", 30, listed, ({ length }) => received.length === count && length === 0);
  }
  expect(connections.count).toBe(1);
});

test("a connection that the receiver closed while it was unused is no failure", async () => {
  const requests = new Map<object, number>();
  let answered = 0;
  const server = createServer((request, response) => {
    const count = (requests.get(request.socket) ?? 0) + 1;
    requests.set(request.socket, count);
    if (count === 1) {
      answered += 1;
      response.end("thanks");
    } else {
      request.socket.destroy(); // as if it had been closed before the request arrived
    }
  });
  const { create, outcomes } = await open(await listen(server));
  for (let count = 1; count <= 3; count += 1) {
    await create();
    await until("it is counted", 30, outcomes, ({ delivered, failed }) => delivered === count || failed !== undefined);
  }
  expect([await outcomes(), answered]).toEqual([{ delivered: 3 }, 3]);
  expect([...requests.values()]).toContain(2);
});

test("many receivers that hang delay no other tenant's delivery", async () => {
  const dead = await brokenReceiver("hang");
  const { received, url } = await receiver();
  const { create, setTenants, tenants, outcomes } = await open(dead.url);
  onTestFinished(dead.end); // so that running deliveries end at once
  const hanging = Array.from({ length: 40 }, (_, number) => ({ url: `${dead.url}/${number}`, secret }));
  setTenants(tenant("acme", { webhooks: hanging }), tenant("beta", { webhooks: [{ url, secret }] }));
  await until("the change is read", 30, () => tenants.get("beta")?.webhooks.length === 1);
  for (let count = 0; count < 4; count += 1) await create();
  await until("each dead receiver has four", 30, () => dead.taken.count === 160);
  await create("beta");
  await until("the other's event is delivered", 30, outcomes, ({ delivered }) => delivered === 1);
  expect([await outcomes(), received.length]).toEqual([{ delivered: 1 }, 1]);
});

test("results that could not be stored are stored later, and nothing is sent again", async () => {
  const { received, url } = await receiver();
  let refused = 0;
  const { create, listed, allHaveIterated } = await open(url, { settleFails: () => ++refused <= 3 });
  for (let count = 0; count < 3; count += 1) await create();
  await until("all results are stored", 30, listed, ({ length }) => received.length >= 3 && length === 0);
  await allHaveIterated();
  expect(refused).toBeGreaterThan(3);
  expect(received).toHaveLength(3);
});

test("if a worker crashes after the answer, another worker sends the delivery again with the same id", async () => {
  const { received, url } = await receiver();
  let isCrashing = true;
  const { create, listed, stop, startAnother, hurry } = await open(url, { settleFails: () => isCrashing });
  await create();
  await until("it is received", 30, () => received.length === 1);
  await stop(); // the worker's results are lost
  expect(await listed()).toMatchObject([{ state: "pending", attempts: 1 }]);
  isCrashing = false;
  startAnother();
  await hurry();
  await until("it is received again and deleted", 30, listed, ({ length }) => received.length === 2 && length === 0);
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
});

test("a failure changes nothing if the delivery was sent again in the meantime", async () => {
  const { url } = await receiver();
  const { create, deliveries, tenants, listed } = await open(url, { isWaiting: true });
  await create();
  await deliveries.fanOut(tenants);
  const [taken] = await deliveries.take([], 4);
  const { id = "", attempts = 0 } = taken ?? {};
  expect(attempts).toBe(1);
  await deliveries.redeliver(id);
  const failure = { error: "answered 500", next: "dead" as const };
  await deliveries.settle([{ id, attempts, failure }]);
  expect(await listed()).toMatchObject([{ state: "pending", attempts: 0, lastError: null }]);
  await deliveries.take([], 4);
  await deliveries.settle([{ id, attempts, failure }]);
  expect(await listed()).toMatchObject([{ state: "dead", attempts: 1, lastError: "answered 500" }]);
});

test("each receiver gets what fits, the oldest first, and two tenants with the same URL do not wait for each other", async () => {
  const { url } = await receiver();
  const { create, deliveries, tenants, setTenants } = await open(url, { isWaiting: true });
  const webhooks = [{ url, secret }];
  setTenants(tenant("acme", { webhooks }), tenant("beta", { webhooks }));
  await until("the change is read", 30, () => tenants.get("beta")?.webhooks.length === 1);
  for (let count = 0; count < 5; count += 1) await create();
  for (let count = 0; count < 3; count += 1) await create("beta");
  await deliveries.fanOut(tenants);
  const take = async (acme: number) => {
    const taken = await deliveries.take([{ tenant: "acme", url, room: acme }], 2);
    return taken.map(({ event }) => event.tenant).sort();
  };
  expect(await take(0)).toEqual(["beta", "beta"]);
  expect(await take(3)).toEqual(["acme", "acme", "acme", "beta"]);
  expect(await take(9)).toEqual(["acme", "acme"]);
});

test("an event is sent soon after the bell, without waiting for the next search", async () => {
  const { received, url } = await receiver();
  const rings: (() => void)[] = [];
  const { create } = await open(url, { intervalMs: 600_000, onListen: (ring) => void rings.push(ring) });
  await until("the sender listens", 30, () => rings.length === 1);
  await create();
  for (const ring of rings) ring();
  await until("the event has arrived", 30, () => received.length === 1);
});
