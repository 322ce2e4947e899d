/** From what happens to a session to the tenant's receiver, a server of our own on this machine. */
import { createHmac } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { sql } from "kysely";
import { expect, onTestFinished, test } from "vitest";
import { Metrics } from "../metrics/metrics.ts";
import type { Session } from "../sessions/session.ts";
import { SessionStore } from "../sessions/sessionStore.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { cipher, freshDatabase, noJobs, sessionOf, silent, tenant, tenantsFile, until } from "../testing/fixtures.ts";
import { DeliveryStore } from "./deliveryStore.ts";
import { WebhookSender } from "./webhookSender.ts";

const user = { name: "key:default" };
const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

interface Received {
  headers: IncomingHttpHeaders;
  body: string;
}

/** A receiver that answers with the statuses in turn, and then with 200. */
async function receiver(...statuses: number[]) {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request.setEncoding("utf8")) body += chunk;
    received.push({ headers: request.headers, body });
    response.writeHead(statuses.shift() ?? 200, { location: "http://127.0.0.1:1/" }).end("thanks");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=1` };
}

async function open(url: string, { allowPrivate = true, senders = 1 } = {}) {
  const { database } = await freshDatabase();
  const sessions = new SessionStore(database, cipher);
  const deliveries = new DeliveryStore(database);
  const file = tenantsFile(tenant("acme", { webhooks: [{ url, secret }] }), tenant("beta"));
  const tenants = new TenantsFile(file, silent, 20);
  const metrics = new Metrics(sessions, noJobs);
  const options = { store: deliveries, tenants, metrics, logger: silent, allowPrivate, intervalMs: 20 };
  for (let count = 0; count < senders; count += 1) {
    const sender = new WebhookSender(options);
    sender.onApplicationBootstrap();
    onTestFinished(() => sender.onApplicationShutdown());
  }
  onTestFinished(() => tenants.onApplicationShutdown());
  return {
    deliveries,
    /** The stack is changed: these are the tenants from now on. */
    setTenants: (...tenants: Tenant[]) => writeFileSync(file, JSON.stringify({ tenants })),
    listed: async () => (await deliveries.list({}, 100, undefined))?.items ?? [],
    hurry: () => sql`update webhook_deliveries set next_at = now()`.execute(database),
    lastAttempt: () => sql`update webhook_deliveries set next_at = now(), attempts = 11`.execute(database),
    outcomes: async () =>
      Object.fromEntries((await metrics.webhooks.get()).values.map(({ labels, value }) => [labels.outcome, value])),
    create: async (name = "acme") =>
      sessionOf(await sessions.create({ tenant: name, namespace: `tenant-${name}`, tier: "small" }, user)),
    end: (session: Session) => sessions.apply(session, { type: "stop", cause: "user", reason: "Stopped" }, user),
  };
}

test("each event arrives once, signed, however many workers there are; and other tenants' events don't", async () => {
  const { received, url } = await receiver();
  const { create, listed } = await open(url, { senders: 3 });
  await create("beta");
  for (let count = 0; count < 10; count += 1) await create();
  await until(async () => received.length >= 10 && (await listed()).length === 0);
  await new Promise((resolve) => setTimeout(resolve, 200));
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
  const { create, setTenants, listed } = await open(url);
  await create("newcomer");
  await create();
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(received).toHaveLength(0);
  const webhooks = [{ url, secret }];
  setTenants(tenant("acme", { webhooks }), tenant("newcomer", { webhooks }));
  await until(async () => received.length === 2 && (await listed()).length === 0);
  expect(received.map(({ body }) => JSON.parse(body).data.tenant)).toEqual(["newcomer", "acme"]);
});

test("a tenant that was taken out holds nobody's events up", async () => {
  const { received, url } = await receiver();
  const { create, end, setTenants } = await open(url);
  const old = await create("beta");
  await new Promise((resolve) => setTimeout(resolve, 50));
  setTenants(tenant("acme", { webhooks: [{ url, secret }] }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await end(old);
  await create();
  await until(async () => received.length === 1);
});

test("what does not arrive is tried again under the same id, and redirects are not followed", async () => {
  const { received, url } = await receiver(500, 302);
  const { create, listed, hurry, outcomes } = await open(url);
  await create();
  for (const [attempts, lastError] of [
    [1, "answered 500"],
    [2, "answered 302"],
  ] as const) {
    await until(async () => (await listed())[0]?.lastError === lastError);
    expect(await listed()).toMatchObject([{ state: "pending", attempts, url: url.replace("?token=1", "") }]);
    await hurry();
  }
  await until(async () => (await listed()).length === 0);
  expect(received).toHaveLength(3);
  expect(new Set(received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(await outcomes()).toEqual({ failed: 2, delivered: 1 });
});

test("what never arrives is kept as dead, and can be sent again", async () => {
  const { received, url } = await receiver(500, 500);
  const { create, deliveries, listed, lastAttempt } = await open(url);
  await create();
  await until(async () => (await listed())[0]?.lastError !== undefined && (await listed())[0]?.lastError !== null);
  await lastAttempt();
  await until(async () => (await listed())[0]?.state === "dead");
  const [dead] = await listed();
  expect(dead).toMatchObject({ attempts: 12, nextAt: null, lastError: "answered 500", tenant: "acme" });
  expect(await deliveries.redeliver(dead?.id ?? "")).toMatchObject({ state: "pending", attempts: 0 });
  await until(async () => (await listed()).length === 0);
  expect(received).toHaveLength(3);
});

test("a receiver that says 410 is asked no more", async () => {
  const { url } = await receiver(410);
  const { create, listed } = await open(url);
  await create();
  await until(async () => (await listed())[0]?.state === "dead");
});

test("without leave, nothing goes to an address of this side", async () => {
  const { received, url } = await receiver();
  const { create, listed } = await open(url.replace("http:", "https:"), { allowPrivate: false });
  await create();
  await until(async () => (await listed())[0]?.lastError === "127.0.0.1 is not a public address");
  expect(received).toHaveLength(0);
});
