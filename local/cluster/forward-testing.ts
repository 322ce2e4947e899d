/** Runs the program forward.ts in tests, without a node. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** Opens a free port of loopback and returns its number. */
export async function listening(server: Server): Promise<number> {
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as AddressInfo).port;
}

/** Runs forward.ts until the end of the test. */
export function forwarder(sockets: number): ChildProcess {
  const child = fork(fileURLToPath(new URL("forward.ts", import.meta.url)), [String(sockets)], { stdio: "ignore" });
  onTestFinished(() => void child.kill());
  return child;
}

/** Gives forward.ts a new socket whose connections lead to the port `to`. Returns the socket's own port. */
export async function handOver(child: ChildProcess, to: number): Promise<number> {
  const server = createServer();
  const port = await listening(server);
  child.send({ host: "127.0.0.1", port: to }, server);
  await once(child, "message");
  server.close();
  return port;
}
