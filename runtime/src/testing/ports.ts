/** Ports for programs that are told theirs, rather than take any that is free. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { until } from "@berth/testing/until.ts";

export const loopback = "127.0.0.1";

/**
 * Each process has a range of its own, whose first port it holds for as long as it lives: so no two that run at the same time
 * give out the same ports. All of them are below those that Kubernetes (from 30000) and the kernel (from 32768) give out, so
 * that nobody else takes a port between `freePorts` and the program.
 */
const size = 40;
const ranges = 250;
const firstOf = (range: number) => 20_000 + range * size;

let own: Promise<number> | undefined;
let asked = 0;

/** Free ports on loopback, each another one. */
export async function freePorts(count: number): Promise<number[]> {
  own ??= takeRange();
  const first = (await own) + 1; // after the one that is held
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries === size - 1) throw new Error(`fewer than ${count} of the ports from ${first} on are free`);
    const port = first + (asked++ % (size - 1));
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** Takes a range that no other process has, for good; returns its first port. */
async function takeRange(): Promise<number> {
  for (let tries = 0; tries < ranges; tries += 1) {
    const first = firstOf((process.pid + tries) % ranges);
    const held = await hold(first).catch(() => undefined);
    if (held === undefined) continue;
    held.unref(); // it does not keep the process alive, and goes with it
    return first;
  }
  throw new Error(`each of the ${ranges} ranges of ports from ${firstOf(0)} on is somebody's`);
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
