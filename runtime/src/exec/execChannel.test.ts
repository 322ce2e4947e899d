/** What counts as activity of a command, with a stand-in for the pod. Real commands: exec.cluster.test.ts. */
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { session, silent, tenant } from "../testing/fixtures.ts";
import { ExecChannel } from "./execChannel.ts";

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
  const channel = new ExecChannel({
    store: { find: async () => running, command: async () => true },
    authenticator: {
      identify: async () => ({
        role: "tenant",
        tenant: tenant("acme", { exec: true }),
        scopes: ["write"],
        actor: { name: "key:default" },
      }),
    },
    rateLimit: { take: async () => undefined },
    activity: { touch: (id) => void touched.push(id) },
    pods: { exec: async () => pod.client },
    logger: silent,
  });
  const serve = await channel.admit({
    sessionId: running.id,
    query: new URLSearchParams({ command: "make" }),
    authorization: "Bearer key",
    address: undefined,
  });
  serve(user.server);
  await until("the command has begun", 20, touches(1));

  pod.server.send(Buffer.from("\u0001compiling"));
  await until("what it wrote has counted", 20, touches(2));
  user.client.send(Buffer.from("\u0000input"));
  await until("what was sent has counted", 20, touches(3));
  expect(new Set(touched)).toEqual(new Set([running.id]));
});
