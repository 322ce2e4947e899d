/** Builds the runtime and runs it as separate processes. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Hopeless, until } from "@berth/testing/until.ts";
import { onTestFinished } from "vitest";
import { ownStores } from "./fixtures.ts";
import { alone, freePorts } from "./ports.ts";

const runtime = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** The folder of the compiled program. */
export const dist = join(runtime, "dist");

/**
 * Compiles the sources into runtime/dist if they have changed since the last build. Tests call this in `beforeAll` with a
 * long timeout.
 */
export function build(): Promise<void> {
  return alone("build the runtime", 19_999, async () => {
    if (isBuilt()) return;
    // The program's build does not check the types; `npm run check` does. The program is built last, because its
    // modification time marks the end of the build.
    for (const script of ["build:page", "build:program"]) {
      await promisify(execFile)("npm", ["run", "--silent", script], { cwd: runtime });
    }
  });
}

function isBuilt(): boolean {
  const program = statSync(join(dist, "main.js"), { throwIfNoEntry: false });
  // Folders count too, because a deleted file changes only its folder's modification time.
  const sources = ["src", "page"].flatMap((folder) => [
    folder,
    ...readdirSync(join(runtime, folder), { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)),
  ]);
  const newest = Math.max(
    ...[...sources, "rolldown.config.ts", "package.json", "../package-lock.json"].map(
      (path) => statSync(join(runtime, path)).mtimeMs,
    ),
  );
  // A source that changed less than a minute before the build ended may have changed during the build.
  return program !== undefined && newest < program.mtimeMs - 60_000;
}

export interface Program {
  child: ChildProcess;
  /** The log lines so far, parsed. Lines that don't begin with `{` are left out. */
  log: () => { msg?: string; [field: string]: unknown }[];
  /** The whole output. */
  output: () => string;
  /** The exit code, or the signal that ended the process. */
  exit: Promise<number | string>;
  /** Waits for a log line with this message. */
  says: (message: string) => Promise<unknown>;
}

/** Runs `main.js <args>` with this environment only. When the test ends, the process is killed if it still runs. */
export function runProgram(args: string[], env: Record<string, string>, nodeArgs: string[] = []): Program {
  const child = spawn(process.execPath, [...nodeArgs, join(dist, "main.js"), ...args], { env });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (text += data));
  const log = () =>
    text
      .split("\n")
      .filter((line) => line.startsWith("{"))
      .map((line) => JSON.parse(line));
  return {
    child,
    output: () => text,
    log,
    exit: once(child, "close").then(([code, signal]) => code ?? signal),
    says: (message) =>
      until(
        `${args.join(" ")} says: ${message}`,
        60,
        () => {
          if (child.exitCode !== null) throw new Hopeless(`${args.join(" ")} ended with ${child.exitCode}: ${text}`);
          return log().map(({ msg }) => msg);
        },
        (messages) => messages.includes(message),
      ),
  };
}

/**
 * The environment of a role for this database and the stores (by default those of this vitest worker), with new
 * ports.
 */
export async function environment(
  database: string,
  tenantsPath: string,
  changes: Record<string, string> = {},
  { postgres, redis } = ownStores(),
) {
  const folder = mkdtempSync(join(tmpdir(), "berth-secrets-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "postgres-password"), postgres.password);
  writeFileSync(join(folder, "redis-password"), redis.password);
  writeFileSync(join(folder, "token-key"), "0123456789abcdef0123456789abcdef");
  const [http = 0, websocket = 0, session = 0] = await freePorts(3);
  return {
    POSTGRES_HOST: postgres.host,
    POSTGRES_PORT: String(postgres.port),
    POSTGRES_USER: postgres.user,
    POSTGRES_DATABASE: database,
    REDIS_HOST: redis.host,
    REDIS_PORT: String(redis.port),
    SECRETS_DIR: folder,
    TENANTS_FILE: tenantsPath,
    AGENT_IMAGE: "agent",
    BERTHD_IMAGE: "berthd",
    PUBLIC_URL: "http://berth.example",
    HTTP_PORT: String(http),
    WEBSOCKET_PORT: String(websocket),
    SESSION_PORT: String(session),
    KUBECONFIG: kubeconfig(folder, "http://127.0.0.1:1"),
    ...changes,
  };
}

/** Writes a kubeconfig for the API server at this URL into the folder. Returns the file's path. */
export function kubeconfig(folder: string, server: string): string {
  const path = join(folder, "kubeconfig");
  const config = {
    clusters: [{ name: "test", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "test", user: {} }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  };
  writeFileSync(path, JSON.stringify(config));
  return path;
}
