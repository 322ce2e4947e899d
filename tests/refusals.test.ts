import { once } from "node:events";
import { createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import { forwarder, handOver, listening } from "../local/cluster/forward-testing.ts";
import { isRefusal } from "./refusals.ts";

/** Returns the errors of a WebSocket and of a fetch to the port. */
async function failures(port: number): Promise<unknown[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  const failed = once(socket, "error");
  const [error] = await failed;
  return [error, await fetch(`http://127.0.0.1:${port}/`).catch((error: unknown) => error)];
}

async function closedPort(): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  await new Promise((closed) => server.close(closed));
  return port;
}

it("counts a connection that is refused on this machine or at the node port", async () => {
  const carried = await handOver(forwarder(1), await closedPort());
  for (const port of [await closedPort(), carried])
    for (const error of await failures(port)) expect(isRefusal(error), String(error)).toBe(true);
});

it("does not count a connection that was accepted and later closed without a response", async () => {
  const ends = createServer((socket) => void socket.once("data", () => socket.destroy()));
  onTestFinished(() => void ends.close());
  const direct = await listening(ends);
  const carried = await handOver(forwarder(1), direct);
  for (const port of [direct, carried])
    for (const error of await failures(port)) expect(isRefusal(error), String(error)).toBe(false);
});
