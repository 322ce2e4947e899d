/** Runs the runtime's roles as processes on this machine, with a Postgres and a Redis that only the benchmark uses. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Hopeless, until } from "@berth/testing/until.ts";
import pg from "pg";
import { machine, root } from "../../machine/machine.ts";
import { startStores } from "../../runtime/src/testing/stores.ts";

const { kubeconfig } = machine;

const main = join(root, "runtime/dist/main.js");
export const key = "berth_bench_0123456789abcdef";
/** The key of the tenant `neighbour`. */
export const neighbourKey = "berth_neighbour_0123456789abcdef";
export const tokenKey = "0123456789abcdef0123456789abcdef";

export interface Runtime {
  /** The environment variables of roles, and of other programs that use the same stores. */
  env: Record<string, string>;
  /** A client of the runtime's database, which is not connected yet. */
  database: () => pg.Client;
  /** How much CPU time Postgres has used, in milliseconds, in steps of 10 ms: all of its processes that still run. */
  databaseCpu: () => number;
  /** Starts a role with `changes` to its environment, and waits until the role is ready at its HTTP port. */
  start: (role: "api" | "worker", port: number, changes?: Record<string, string>) => Promise<ChildProcess>;
  /** Ends all processes and deletes all data. */
  stop: () => Promise<void>;
}

/**
 * Compiles the runtime, and starts Postgres with the runtime's tables, and Redis. The fields of `tenant` and `neighbour`
 * replace those of the tenants `bench` and `neighbour`.
 */
export async function startRuntime(
  tenant: Record<string, unknown> = {},
  neighbour: Record<string, unknown> = {},
): Promise<Runtime> {
  console.error("  building the runtime");
  await promisify(execFile)("npm", ["run", "--silent", "build", "--workspace", "runtime"], { cwd: root });
  const { stores, remove } = await startStores();
  const folder = mkdtempSync(join(tmpdir(), "berth-bench-"));
  const children: ChildProcess[] = [];
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  file("postgres-password", stores.postgres.password);
  file("redis-password", stores.redis.password);
  file("token-key", tokenKey);
  const entry = (name: string, secret: string) => ({
    name,
    namespace: `tenant-${name}`,
    serviceAccount: "agent-runner",
    keys: [{ name: "default", sha256: createHash("sha256").update(secret).digest("hex") }],
    workspace: { mode: "ephemeral", size: "1Gi" },
  });
  const tenants = [
    { ...entry("bench", key), ...tenant },
    { ...entry("neighbour", neighbourKey), ...neighbour },
  ];
  const env = {
    PATH: process.env.PATH ?? "",
    NODE_ENV: "production",
    POSTGRES_HOST: stores.postgres.host,
    POSTGRES_PORT: String(stores.postgres.port),
    POSTGRES_USER: stores.postgres.user,
    POSTGRES_DATABASE: "postgres",
    REDIS_HOST: stores.redis.host,
    REDIS_PORT: String(stores.redis.port),
    SECRETS_DIR: folder,
    TENANTS_FILE: file("tenants.json", JSON.stringify({ tenants })),
    AGENT_IMAGE: "agent",
    BERTHD_IMAGE: "berthd",
    PUBLIC_URL: "http://127.0.0.1",
    RATE_LIMIT_PER_MINUTE: "100000000",
    BACKLOG_LIMIT: "100000",
    KUBECONFIG: kubeconfig,
  };
  await promisify(execFile)(process.execPath, [main, "migrate"], { env });
  return {
    env,
    database: () => new pg.Client({ ...stores.postgres, database: "postgres" }),
    databaseCpu: () => cpuOfPostgres(stores.postgres.port),
    async start(role, port, changes = {}) {
      const ports = { HTTP_PORT: port, WEBSOCKET_PORT: port + 1, SESSION_PORT: port + 2 };
      const numbers = Object.fromEntries(Object.entries(ports).map(([name, value]) => [name, String(value)]));
      // The log is discarded, so that writing the log does not slow the role down. In a pod, the log does not slow the role
      // down either.
      const child = spawn(process.execPath, [main, role], {
        env: { ...env, ...numbers, ...changes },
        stdio: ["ignore", "ignore", "inherit"],
      });
      children.push(child);
      const ready = () => fetch(`http://127.0.0.1:${port}/health/ready`).then((answer) => answer.ok);
      await until(`the ${role} is ready`, 60, () => {
        if (child.exitCode !== null) throw new Hopeless(`the ${role} ended with code ${child.exitCode}`);
        return ready();
      });
      return child;
    },
    async stop() {
      for (const child of children) {
        if (child.exitCode !== null) continue;
        child.kill("SIGTERM");
        await once(child, "exit");
      }
      await remove();
      rmSync(folder, { recursive: true });
    },
  };
}

/**
 * Calls an API on this machine. Throws an error if the response is not a success.
 * @param secret the key of the caller. Default: the key of the tenant `bench`
 */
export async function call<T>(port: number, method: string, path: string, body?: unknown, secret = key): Promise<T> {
  const headers = {
    authorization: `Bearer ${secret}`,
    ...(body !== undefined && { "content-type": "application/json" }),
  };
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** The parent's pid and the CPU time in milliseconds of a process. */
function statOf(pid: number | string | undefined): { parent: string | undefined; cpu: number } {
  const [, fields = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
  const [, parent, , , , , , , , , , user, system] = fields.split(" ");
  return { parent, cpu: 10 * (Number(user) + Number(system)) };
}

/** Returns how much CPU time the process has used, in milliseconds. Linux counts in steps of 10 ms. */
export const cpuOf = ({ pid }: ChildProcess): number => statOf(pid).cpu;

/** The same for all processes of the Postgres that listens at the port. Its container shares the machine's kernel. */
function cpuOfPostgres(port: number): number {
  const processes = globSync("[0-9]*", { cwd: "/proc" }).flatMap((pid) => {
    try {
      return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, "utf8"), ...statOf(pid) }];
    } catch {
      return []; // the process has ended
    }
  });
  const main = processes.find(
    ({ command }) => command.startsWith("postgres\0") && command.includes(`\0port=${port}\0`),
  );
  if (main === undefined) throw new Error(`no process of the Postgres at port ${port} is visible on this machine`);
  return processes
    .filter(({ pid, parent }) => pid === main.pid || parent === main.pid)
    .reduce((total, { cpu }) => total + cpu, 0);
}

/** Returns the resident memory of the process in MiB. */
export function memoryOf({ pid }: ChildProcess): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) / 1024;
}
