/**
 * A real Postgres and Redis for the tests: containers of the images that the stack runs, on free loopback ports, removed
 * afterwards. They run on the Docker daemon that `npm run up` starts.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import pg from "pg";
import type { TestProject } from "vitest/node";

export interface Stores {
  postgres: { host: string; port: number; user: string; password: string };
  redis: { host: string; port: number; password: string };
}

declare module "vitest" {
  interface ProvidedContext {
    stores: Stores;
  }
}

const registry = "127.0.0.1:5000";
const host = "127.0.0.1";
const user = "berth";

/** For vitest's `globalSetup`: tests reach the stores by `inject("stores")`. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { stores, remove } = await startStores();
  project.provide("stores", stores);
  return remove;
}

export interface StartedStores {
  stores: Stores;
  /** Ends one as a crash would. Redis keeps nothing; Postgres keeps all that was committed. */
  crash: (store: keyof Stores) => Promise<void>;
  /** Starts it again, and waits until it answers. */
  restart: (store: keyof Stores) => Promise<void>;
  /** Ends both and leaves nothing behind. */
  remove: () => Promise<void>;
}

/** Starts both and waits until they answer. */
export async function startStores(): Promise<StartedStores> {
  const stores: Stores = {
    postgres: { host, port: await freePort(), user, password: randomBytes(16).toString("hex") },
    redis: { host, port: await freePort(), password: randomBytes(16).toString("hex") },
  };
  const containers = new Map<keyof Stores, string>();
  const remove = async () => {
    if (containers.size > 0) await docker(["rm", "--force", "--volumes", ...containers.values()]);
  };
  const ready = {
    postgres: () => answers(() => askPostgres(stores)),
    redis: () => answers(() => askRedis(stores)),
  };
  try {
    containers.set(
      "postgres",
      await run(
        ["--env", "POSTGRES_PASSWORD", "--env", "POSTGRES_USER"],
        "docker.io/library/postgres:15-bookworm",
        // The processes may be killed here, but not the machine's power.
        ["postgres", "-c", `listen_addresses=${host}`, "-c", `port=${stores.postgres.port}`, "-c", "fsync=off"],
        { POSTGRES_PASSWORD: stores.postgres.password, POSTGRES_USER: user },
      ),
    );
    containers.set(
      "redis",
      await run([], "docker.io/library/redis:7-bookworm", [
        ...["redis-server", "--bind", host, "--port", String(stores.redis.port)],
        ...["--requirepass", stores.redis.password, "--save", "", "--maxmemory-policy", "noeviction"],
      ]),
    );
    await Promise.all([ready.postgres(), ready.redis()]);
  } catch (error) {
    await remove();
    throw error;
  }
  return {
    stores,
    crash: async (store) => void (await docker(["kill", "--signal=KILL", containers.get(store) ?? ""])),
    restart: async (store) => {
      await docker(["start", containers.get(store) ?? ""]);
      await ready[store]();
    },
    remove,
  };
}

/** Runs the container in the background and returns its id. */
async function run(
  options: string[],
  image: string,
  command: string[],
  env: Record<string, string> = {},
): Promise<string> {
  return docker(["run", "--detach", "--network=host", ...options, `${registry}/${image}`, ...command], env);
}

async function docker(args: string[], env: Record<string, string> = {}): Promise<string> {
  const options = { env: { ...process.env, DOCKER_HOST: "unix:///run/berth/docker.sock", ...env } };
  const { stdout } = await promisify(execFile)("/usr/bin/docker", args, options);
  return stdout.trim();
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port is free");
  return address.port;
}

/** Tries again until it works, for at most 30 s. */
async function answers(ask: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await sleep(100);
    }
  }
}

async function askPostgres({ postgres }: Stores): Promise<void> {
  const client = new pg.Client({ ...postgres, database: "postgres" });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query("select 1");
  } finally {
    await client.end().catch(() => {});
  }
}

async function askRedis({ redis }: Stores): Promise<void> {
  const client = new Redis({ ...redis, lazyConnect: true, retryStrategy: null });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.ping();
  } finally {
    client.disconnect();
  }
}
