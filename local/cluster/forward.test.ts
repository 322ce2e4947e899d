import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { forwarder, handOver, listening } from "./forward-testing.ts";

it("carries what both sides say, also after one of them has ended its side", async () => {
  const inside = createServer({ allowHalfOpen: true }, (socket) => {
    const said: Buffer[] = [];
    socket.on("data", (part) => said.push(part)).on("end", () => socket.end(`heard ${Buffer.concat(said)}`));
  });
  onTestFinished(() => void inside.close());
  const child = forwarder(1);
  const port = await handOver(child, await listening(inside));
  child.disconnect();
  const client = connect(port, "127.0.0.1");
  client.end("hello");
  const [answer] = await once(client, "data");
  expect(`${answer}`).toBe("heard hello");
  expect(child.exitCode).toBeNull();
});

it("ends where the one that hands it its sockets ends before the last one", async () => {
  const child = forwarder(2);
  await handOver(child, 1);
  child.disconnect();
  expect(await once(child, "exit")).toEqual([1, null]);
});
