/** What many tests need: a new database, a configuration, tenants, a silent logger. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import type { Redis } from "ioredis";
import { pino } from "pino";
import { inject, onTestFinished, vi } from "vitest";
import type { z } from "zod";
import { keyCredential } from "../api/access/credential.ts";
import { type Config, Variables } from "../config/config.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import type { Session } from "../domain/session.ts";
import { scopes, type Tenant, TenantSchema } from "../domain/tenants.ts";
import { connectRedis } from "../queue/redis.ts";
import { connectDatabase, type Database } from "../store/database.ts";
import type { Created } from "../store/sessionCreation.ts";
import { TaskCipher } from "../store/taskCipher.ts";
import { administer, type Stores, template } from "./stores.ts";

export const silent = pino({ level: "silent" });

export const tokenKey = "0123456789abcdef0123456789abcdef";
export const tokenKeys = TokenKeys.one(tokenKey);
export const cipher = new TaskCipher(tokenKeys);

/** How many milliseconds Postgres or Redis may take to answer, in tests that check the answer and not this machine's speed. */
export const patienceMs = 10_000;

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

export const tenant = (name: string, changes: Partial<z.input<typeof TenantSchema>> = {}): Tenant =>
  TenantSchema.parse({
    name,
    namespace: `tenant-${name}`,
    keys: [{ name: "default", sha256: sha256(keyOf(name)) }],
    serviceAccount: "agent-runner",
    workspace: { size: "1Gi" },
    ...changes,
  });

/** The admin key that `tenantsFile` contains. */
export const adminKey = "berth_admin_0123456789abcdef";

export const keyOf = (name: string) => `berth_${name}_0123456789abcdef`;

export const session = (changes: Partial<Session> = {}): Session => ({
  id: "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11",
  tenant: "acme",
  namespace: "tenant-acme",
  tier: "small",
  image: null,
  desktop: true,
  state: "queued",
  reason: null,
  cause: null,
  endsAs: null,
  podIp: null,
  resumes: false,
  stalled: false,
  labels: {},
  priority: 50,
  idleTimeoutSeconds: null,
  maxLifetimeSeconds: null,
  workspaceMode: "persistent",
  workspaceUntil: null,
  progress: null,
  version: 1,
  createdAt: new Date(0),
  updatedAt: new Date(0),
  stateSince: new Date(0),
  lastActiveAt: null,
  startedAt: null,
  endedAt: null,
  ranSeconds: 0,
  warm: null,
  tokenKey: 1,
  tenantsGeneration: 0,
  ...changes,
});

/** Returns the created session. */
export function sessionOf(created: Created): Session {
  if (typeof created === "string") throw new Error(created);
  return created.session;
}

/** Writes the tenants into a new file. The folder is removed when the test ends. */
export function tenantsFile(...tenants: Tenant[]): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-tenants-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "tenants.json");
  writeTenants(path, tenants);
  return path;
}

/** The tenants as the text of a file. */
export const fileOf = (...tenants: Tenant[]) =>
  JSON.stringify({ admin: { keys: [{ name: "root", sha256: sha256(adminKey) }] }, tenants });

/** Replaces the content of the file with these tenants. */
export const writeTenants = (path: string, tenants: Tenant[]) => writeFileSync(path, fileOf(...tenants));

/**
 * Replaces `setInterval` until the test ends: an interval then fires only when the test calls the returned function
 * with a number of milliseconds. So the test decides when objects that are created after this call read the tenants file
 * again and check keys again.
 */
export function holdIntervals(): (ms: number) => void {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  onTestFinished(() => void vi.useRealTimers());
  return (ms) => void vi.advanceTimersByTime(ms);
}

/** The credential of a caller who uses the tenant's default key. */
export const credentialOf = (name: string) => keyCredential(name, "default", keyOf(name), scopes);

/**
 * The Postgres of the test project and the Redis of this vitest worker. The tests of a vitest worker run one after the other,
 * so they may empty that Redis.
 */
export function ownStores(): Stores {
  const stores = inject("stores")[Number(process.env.VITEST_POOL_ID) - 1];
  if (stores === undefined) throw new Error(`worker ${process.env.VITEST_POOL_ID} has no Redis`);
  return stores;
}

/** A configuration for the stores, by default those of this vitest worker. */
export function storesConfig(database: string, tenantsPath: string, { postgres, redis } = ownStores()): Config {
  const variables = Variables.parse({
    POSTGRES_HOST: postgres.host,
    POSTGRES_PORT: postgres.port,
    POSTGRES_USER: postgres.user,
    POSTGRES_DATABASE: database,
    REDIS_HOST: redis.host,
    REDIS_PORT: redis.port,
    LOG_LEVEL: "silent",
    AGENT_IMAGE: "agent",
    BERTHD_IMAGE: "berthd",
    PUBLIC_URL: "http://berth.example",
    RATE_LIMIT_PER_MINUTE: 100_000,
    WEBHOOK_ALLOW_PRIVATE: "true",
  });
  return {
    ...variables,
    TENANTS_FILE: tenantsPath,
    postgresPassword: postgres.password,
    redisPassword: redis.password,
    tokenKeys,
  };
}

/**
 * A new empty database for this test, dropped when the test ends.
 * @param options of the connection; see `connectDatabase`. By default the connection is patient, because on a busy machine
 *   the 3 seconds in which a process of the platform must be connected may be too few
 */
export function emptyDatabase(
  stores = ownStores(),
  options = { patient: true },
): Promise<{ name: string; database: Database }> {
  return newDatabase("template1", stores, options);
}

/** A new database with its tables, and a patient connection. Is dropped when the test ends. */
export function freshDatabase(stores = ownStores()): Promise<{ name: string; database: Database }> {
  return newDatabase(template, stores, { patient: true });
}

async function newDatabase(
  template: string,
  stores: Stores,
  options: { patient: boolean },
): Promise<{ name: string; database: Database }> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  // Of Postgres' two strategies, this one is faster here, because `fsync` is off and so nothing waits for the disk.
  await administer(stores.postgres, `create database ${name} template ${template} strategy file_copy`);
  const database = connectDatabase(storesConfig(name, "", stores), options);
  onTestFinished(async () => {
    await database.destroy();
    await administer(stores.postgres, `drop database ${name} with (force)`);
  });
  return { name, database };
}

/**
 * Deletes all data of this vitest worker's Redis, and returns a connection to this Redis. When the test ends, what the test
 * sets up after this call is cleaned up first, and then the connection is closed.
 */
export async function emptyRedis(): Promise<Redis> {
  const redis = connectRedis(storesConfig("none", ""), silent);
  onTestFinished(() => redis.disconnect());
  await until(
    "Redis is connected",
    30,
    () => redis.status,
    (status) => status === "ready",
  );
  await redis.flushall();
  return redis;
}
