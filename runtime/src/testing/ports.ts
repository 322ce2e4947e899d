/** Ports for programs that must be given a port and can't choose a free one themselves. */
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { until } from "@berth/testing/until.ts";

export const loopback = "127.0.0.1";

/**
 * Each process has its own range of ports and listens at the first port of its range. So no other process takes this range,
 * and two processes that run at the same time never give out the same port. All ranges are below the ports that Kubernetes
 * (from 30000) and the kernel (from 32768) assign, so that nobody else takes a port between `freePorts` and the start of the
 * program.
 */
const size = 40;
const ranges = 250;
const firstOf = (range: number) => 20_000 + range * size;

/** The files of a vitest worker share a process, so this is a global variable: it survives when modules are loaded again. */
const global = globalThis as { berthPorts?: { own?: Promise<number>; asked: number } };
global.berthPorts ??= { asked: 0 };
const shared = global.berthPorts;

/** Returns different free ports on loopback. */
export async function freePorts(count: number): Promise<number[]> {
  shared.own ??= takeRange();
  const first = (await shared.own) + 1; // after the port that is kept open
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries === size - 1)
      throw new Error(`fewer than ${count} of the ports ${first} to ${first + size - 2} are free`);
    const port = first + (shared.asked++ % (size - 1));
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

/** Takes a range that no other process has, until this process ends. Returns the first port of the range. */
async function takeRange(): Promise<number> {
  for (let tries = 0; tries < ranges; tries += 1) {
    const first = firstOf((process.pid + tries) % ranges);
    const held = await hold(first).catch(() => undefined);
    if (held === undefined) continue;
    held.unref(); // does not keep the process alive, and is closed when the process ends
    return first;
  }
  throw new Error(`all ${ranges} ranges of ports from ${firstOf(0)} on are taken`);
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

/**
 * Runs the work while no other process runs work with the same `port`. Meanwhile this process listens at the port. The port
 * is a good lock, because the kernel closes it when the process ends.
 */
export async function alone<T>(what: string, port: number, work: () => Promise<T>): Promise<T> {
  await using _lock = await until(`nobody else does this: ${what}`, 300, () => hold(port));
  return await work();
}
