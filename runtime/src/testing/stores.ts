/**
 * A real Postgres and Redis for the tests: containers of the same images as the stack, on free loopback ports,
 * removed afterwards.
 */
import { randomBytes } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import { Redis } from "ioredis";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { connectDatabase } from "../store/database.ts";
import { migrate } from "../store/migrate.ts";
import { findDocker } from "./docker.ts";
import { freePorts, loopback } from "./ports.ts";

interface Address {
  host: string;
  port: number;
  password: string;
}

export interface Stores {
  postgres: Address & { user: string };
  redis: Address;
}

declare module "vitest" {
  interface ProvidedContext {
    /** One Postgres for all vitest workers of the project, and one Redis for each of them. */
    stores: Stores[];
  }
}

/** A database with empty tables, for `create database … template …`. */
export const template = "berth_template";

/**
 * Vitest calls this function once before the tests (`globalSetup`). Tests find the stores of their vitest worker with
 * `ownStores` of fixtures.ts.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  // `OLD_ROWS=2000000` fills more gigabytes than most machines have memory.
  const inMemory = process.env.OLD_ROWS === undefined;
  const { ofWorkers, remove } = await startStores({ workers: project.config.maxWorkers, inMemory });
  project.provide("stores", ofWorkers);
  return remove;
}

export interface StartedStores {
  /** The Postgres, and the Redis of the first vitest worker. */
  stores: Stores;
  ofWorkers: Stores[];
  /**
   * Kills a store of `stores` as a crash would. Redis then loses its data. Postgres keeps everything that was committed, unless
   * Postgres is `inMemory`.
   */
  crash: (store: keyof Stores) => Promise<void>;
  /** Starts the store again and waits until it answers. */
  restart: (store: keyof Stores) => Promise<void>;
  /** Stops all containers and removes them. */
  remove: () => Promise<void>;
}

/**
 * Starts a Postgres with the template database, and a Redis for each vitest worker. Waits until they answer.
 * @param options.inMemory Postgres has its files in memory. A database is then created and dropped in a third of the processor
 *   time, but a Postgres that was killed has lost its data. Default: false
 */
export async function startStores({ workers = 1, inMemory = false } = {}): Promise<StartedStores> {
  const docker = await findDocker();
  const containers: string[] = [];
  const remove = async () => {
    if (containers.length > 0) await docker.run(["rm", "--force", "--volumes", ...containers]);
  };
  const start = async (
    image: string,
    port: number,
    command: string[],
    env: Record<string, string> = {},
    options: string[] = [],
  ) => {
    const variables = Object.keys(env).flatMap((name) => ["--env", name]);
    const args = [
      "run",
      "--detach",
      ...docker.network(port),
      ...variables,
      ...options,
      docker.image(image),
      ...command,
    ];
    const id = await docker.run(args, env);
    containers.push(id);
    return id;
  };

  const startPostgres = async () => {
    const address = { ...(await freeAddress()), user: "berth" };
    // `fsync` is off, because the tests may kill the process, but they do not cut the machine's power.
    const settings = [`listen_addresses=${docker.address}`, `port=${address.port}`, "fsync=off", "max_wal_size=128MB"];
    const id = await start(
      "library/postgres:15-bookworm",
      address.port,
      ["postgres", ...settings.flatMap((setting) => ["-c", setting])],
      { POSTGRES_USER: address.user, POSTGRES_PASSWORD: address.password },
      inMemory ? ["--tmpfs", "/data:mode=1777", "--env", "PGDATA=/data/postgres"] : [],
    );
    return { address, id, answers: () => until("Postgres answers", 60, () => askPostgres(address)) };
  };
  const startRedis = async () => {
    const address = await freeAddress();
    const { port, password } = address;
    const id = await start("library/redis:7.4-bookworm", port, [
      ...["redis-server", "--bind", docker.address, "--port", String(port)],
      ...["--requirepass", password, "--save", "", "--maxmemory-policy", "noeviction"],
    ]);
    return { address, id, answers: () => until("Redis answers", 60, () => askRedis(address)) };
  };

  try {
    const postgres = await startPostgres();
    const redis = await startRedis();
    const all = [postgres, redis];
    const ofWorkers: Stores[] = [{ postgres: postgres.address, redis: redis.address }];
    while (ofWorkers.length < workers) {
      const another = await startRedis();
      all.push(another);
      ofWorkers.push({ postgres: postgres.address, redis: another.address });
    }
    await Promise.all(all.map(({ answers }) => answers()));
    await makeTemplate(postgres.address);
    const started = { postgres, redis };
    return {
      stores: { postgres: postgres.address, redis: redis.address },
      ofWorkers,
      crash: async (store) => void (await docker.run(["kill", "--signal=KILL", started[store].id])),
      restart: async (store) => {
        await docker.run(["start", started[store].id]);
        await started[store].answers();
      },
      remove,
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

async function freeAddress(): Promise<Address> {
  const [port = 0] = await freePorts(1);
  return { host: loopback, port, password: randomBytes(16).toString("hex") };
}

async function makeTemplate(postgres: Stores["postgres"]): Promise<void> {
  await administer(postgres, `create database ${template}`);
  const database = connectDatabase({
    POSTGRES_HOST: postgres.host,
    POSTGRES_PORT: postgres.port,
    POSTGRES_USER: postgres.user,
    POSTGRES_DATABASE: template,
    POSTGRES_TLS: false,
    POSTGRES_POOL: 2,
    postgresPassword: postgres.password,
  });
  await migrate(database).finally(() => database.destroy());
}

/** Runs a statement in the database `postgres`, which no test uses, for example to create a test's database. */
export async function administer(postgres: Stores["postgres"], statement: string): Promise<void> {
  const client = new pg.Client({ ...postgres, database: "postgres" });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query(statement);
  } finally {
    await client.end().catch(() => {});
  }
}

async function askPostgres(postgres: Stores["postgres"]): Promise<true> {
  await administer(postgres, "select 1");
  return true;
}

async function askRedis(address: Address): Promise<true> {
  const client = new Redis({ ...address, lazyConnect: true, retryStrategy: null });
  client.on("error", () => {});
  try {
    await client.connect();
    await client.ping();
    return true;
  } finally {
    client.disconnect();
  }
}
