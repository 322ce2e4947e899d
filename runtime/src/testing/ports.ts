/** Ports for programs that are told theirs, rather than take any that is free. */
import { once } from "node:events";
import { createServer } from "node:net";

export const loopback = "127.0.0.1";

/**
 * Each process has a range of its own, so that tests that run at the same time don't get the same port. All of them are
 * below those that Kubernetes (from 30000) and the kernel (from 32768) give out, so that nobody else takes a port between
 * this function and the program.
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
  const server = createServer();
  try {
    await once(server.listen(port, loopback), "listening");
  } catch {
    return false;
  }
  await once(server.close(), "close");
  return true;
}
