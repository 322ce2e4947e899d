/** Ports for programs that are told theirs, rather than take any that is free. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { until } from "@berth/testing/until.ts";

export const loopback = "127.0.0.1";

/**
 * One of 250 ranges, by the process, so that tests that run at the same time hardly ever look at the same ports. All of
 * them are below those that Kubernetes (from 30000) and the kernel (from 32768) give out, so that nobody else takes a port
 * between this function and the program.
 */
const size = 40;
const first = 20_000 + (process.pid % 250) * size;
let asked = 0;

/** Free ports on loopback, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries === size) throw new Error(`fewer than ${count} of the ports ${first}-${first + size - 1} are free`);
    const port = first + (asked++ % size);
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

async function isFree(port: number): Promise<boolean> {
  const server = await hold(port).catch(() => undefined);
  await server?.[Symbol.asyncDispose]();
  return server !== undefined;
}

async function hold(port: number): Promise<Server> {
  const server = createServer();
  await once(server.listen(port, loopback), "listening");
  return server;
}

/** Does the work while no other process does work of this kind. The port is the lock, because it goes with its process. */
export async function alone<T>(what: string, port: number, work: () => Promise<T>): Promise<T> {
  await using _lock = await until(`nobody else does this: ${what}`, 300, () => hold(port));
  return await work();
}
