/** What counts as activity of a command, with a stand-in for the pod. Real commands: exec.cluster.test.ts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { Access } from "../api/access/access.ts";
import { Authenticator } from "../api/access/authenticator.ts";
import { Revocations } from "../api/access/revocations.ts";
import { findKeyHolder, parseTenants, type Tenant } from "../domain/tenants.ts";
import { credentialOf, fileOf, keyOf, session, silent, tenant } from "../testing/fixtures.ts";
import { ExecGateway } from "./execGateway.ts";
import { lostCode, WebSockets } from "./webSockets.ts";

/** The two ends of a WebSocket on this machine. */
async function pair(): Promise<{ client: WebSocket; server: WebSocket }> {
  const listener = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  const accepted = new Promise<WebSocket>((resolve) => listener.once("connection", resolve));
  await new Promise((resolve) => listener.once("listening", resolve));
  const client = new WebSocket(`ws://127.0.0.1:${(listener.address() as { port: number }).port}`);
  const server = await accepted;
  await new Promise((resolve) => (client.readyState === WebSocket.OPEN ? resolve(0) : client.once("open", resolve)));
  onTestFinished(() => {
    client.terminate();
    listener.close();
  });
  return { client, server };
}

test("what a command writes is activity, as is what is sent to it", async () => {
  const running = session({ state: "running" });
  const touched: string[] = [];
  const touches = (count: number) => () => touched.length === count;
  const [user, pod] = [await pair(), await pair()];
  const gateway = new ExecGateway({
    queries: { find: async () => running },
    commands: { noteUse: async () => running },
    access: {
      admit: async () => ({
        role: "tenant",
        tenant: tenant("acme", { exec: true }),
        scopes: ["write"],
        actor: { name: "key:default" },
        credential: credentialOf("acme"),
      }),
    },
    tenants: { get: () => tenant("acme", { exec: true }) },
    activity: { touch: (id) => void touched.push(id) },
    pods: { exec: async () => pod.client },
    logger: silent,
  });
  const admitted = await gateway.admit({
    sessionId: running.id,
    query: new URLSearchParams({ command: "make" }),
    authorization: "Bearer key",
    address: undefined,
  });
  (await admitted.open())(user.server);
  await until("the command has begun", 20, touches(1));

  pod.server.send(Buffer.from("\u0001compiling"));
  await until("what it wrote has counted", 20, touches(2));
  user.client.send(Buffer.from("\u0000input"));
  await until("what was sent has counted", 20, touches(3));
  expect(new Set(touched)).toEqual(new Set([running.id]));
});

test("a command ends when its key is removed, or commands are switched off, and gets nothing of what is sent after", async () => {
  const running = session({ state: "running" });
  const acme = tenant("acme", { exec: true });
  for (const [now, reason] of [
    [tenant("acme", { exec: true, keys: [] }), "The key default has been removed."],
    [tenant("acme", { exec: false }), "Commands are off for the tenant acme: its config must have exec: true."],
  ] as const) {
    let current: Tenant = acme;
    const changed: (() => void)[] = [];
    const tenants = { get: () => current, onChange: (listener: () => void) => void changed.push(listener) };
    const revocations = new Revocations(tenants, 60_000);
    const pod = await pair();
    const sent: string[] = [];
    pod.server.on("message", (data) => sent.push(String(data).slice(1)));
    const gateway = new ExecGateway({
      queries: { find: async () => running },
      commands: { noteUse: async () => running },
      tenants,
      access: new Access(
        new Authenticator(
          { get: tenants.get, findKeyHolder: (key) => findKeyHolder(parseTenants(fileOf(acme)), key) },
          { verify: async () => undefined },
        ),
        { take: async () => undefined, takeTicket: async () => undefined },
      ),
      activity: { touch: () => {} },
      pods: { exec: async () => pod.client },
      logger: silent,
    });
    const places = { take: async () => () => {} };
    const sockets = new WebSockets({
      gateways: [gateway],
      addressOf: () => undefined,
      places,
      revocations,
      logger: silent,
    });
    const server = createServer().on("upgrade", (...upgrade) => void sockets.upgrade(...upgrade));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(async () => {
      revocations.onApplicationShutdown();
      await sockets.beforeApplicationShutdown();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const client = new WebSocket(`ws://127.0.0.1:${port}/v1/sessions/${running.id}/exec?command=sh`, {
      headers: { authorization: `Bearer ${keyOf("acme")}` },
    });
    const closed = new Promise((resolve) => client.once("close", (code, why) => resolve([code, String(why)])));
    await new Promise((resolve) => client.once("open", resolve));
    client.send("\u0000before");
    await until("the command has its input", 20, () => sent.length === 1);
    current = now;
    for (const listener of changed) listener();
    client.send("\u0000after");
    expect(await closed).toEqual([lostCode, reason]);
    await until("the pod's side is closed", 20, () => pod.server.readyState === WebSocket.CLOSED);
    expect(sent).toEqual(["before"]);
  }
});
