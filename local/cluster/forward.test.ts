import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

const program = fileURLToPath(new URL("forward.ts", import.meta.url));

async function listening(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

function forwarder(sockets: number): ChildProcess {
  const child = fork(program, [String(sockets)], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  return child;
}

/** Hands a new socket over; returns its port. */
async function handOver(child: ChildProcess, to: number): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  child.send({ host: "127.0.0.1", port: to }, server);
  await once(child, "message");
  server.close();
  return port;
}

it("carries what both sides say, also after one of them has ended its side", async () => {
  const inside = createServer({ allowHalfOpen: true }, (socket) => {
    const said: Buffer[] = [];
    socket.on("data", (part) => said.push(part)).on("end", () => socket.end(`heard ${Buffer.concat(said)}`));
  });
  onTestFinished(() => void inside.close());
  const to = await listening(inside);
  const child = forwarder(1);
  const port = await handOver(child, to);
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
