/** Runs berthd as a process on loopback, as in a session's pod. */
import { execFile, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Hopeless, until } from "@berth/testing/until.ts";
import { onTestFinished } from "vitest";
import { sessionToken } from "../channel/token.ts";
import type { Config } from "../config/config.ts";
import type { Tenant } from "../domain/tenants.ts";
import { call, type OpenApi, openApi } from "./api.ts";
import { tokenKey } from "./fixtures.ts";
import { alone, freePorts, loopback } from "./ports.ts";

const sources = join(dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url))))), "images", "berthd");

/**
 * The path of the compiled program. It is compiled once per version of the sources, into a folder that all checkouts
 * share.
 */
export async function buildBerthd(): Promise<string> {
  const hash = createHash("sha256");
  for (const name of readdirSync(sources, { recursive: true, encoding: "utf8" }).sort()) {
    if (/\.go$|^go\.(mod|sum)$/.test(name) && !name.endsWith("_test.go")) {
      hash.update(`${name}\0`).update(readFileSync(join(sources, name)));
    }
  }
  const folder = join(tmpdir(), `berth-berthd-${process.getuid?.()}`, hash.digest("hex").slice(0, 16));
  const program = join(folder, "berthd");
  if (existsSync(program)) return program;
  return alone("build berthd", 19_998, async () => {
    mkdirSync(folder, { recursive: true });
    const made = `${program}.${process.pid}`;
    const env = { ...process.env, CGO_ENABLED: "0" };
    await promisify(execFile)("go", ["build", "-trimpath", "-o", made, "."], { cwd: sources, env });
    renameSync(made, program);
    return program;
  });
}

export interface Berthd {
  port: number;
  /** The folder that berthd serves and in which programs start. */
  workspace: string;
  /** Another folder that berthd serves. */
  scratch: string;
  pid: number;
  log: () => string;
}

/** The API with a running session of acme whose pod is a berthd on this machine. */
export async function openSession(
  changes: Partial<Config> = {},
  tenants?: Tenant[],
  options: { smallDisk?: boolean } = {},
): Promise<{ api: OpenApi; id: string; berthd: Berthd }> {
  const [podPort = 0] = await freePorts(1);
  const api = await openApi(changes, tenants, { podPort });
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const berthd = await startBerthd(id, podPort, options);
  await runsHere(api, id);
  return { api, id, berthd };
}

/** A command that gives berthd a workspace of 4 MiB, in a mount that only berthd sees. */
const onSmallDisk = [
  ...["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"],
  'mount -t tmpfs -o size=4m tmpfs "$BERTH_WORKSPACE" && cd "$BERTH_WORKSPACE" && exec "$0" session',
];

/** Whether this machine allows user namespaces. */
export const hasNamespaces = (): boolean =>
  spawnSync("unshare", ["--user", "--map-root-user", "--mount", "true"]).status === 0;

/** Runs berthd for the session on a port of loopback until the test ends. `smallDisk`: with a workspace of 4 MiB. */
export async function startBerthd(sessionId: string, port: number, { smallDisk = false } = {}): Promise<Berthd> {
  const program = await buildBerthd();
  const folder = mkdtempSync(join(tmpdir(), "berth-pod-"));
  const [workspace, scratch, token] = ["workspace", "scratch", "token"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const one of [workspace, scratch]) mkdirSync(one);
  writeFileSync(token, `${sessionToken(tokenKey, sessionId)}\n`);
  const [command = "", ...args] = smallDisk ? [...onSmallDisk, program] : [program, "session"];
  const child = spawn(command, args, {
    cwd: workspace,
    env: {
      PATH: process.env.PATH,
      HOME: workspace,
      BERTH_TOKEN_FILE: token,
      BERTH_DESKTOP: "no",
      BERTH_WORKSPACE: workspace,
      BERTH_ROOTS: scratch,
      BERTH_METRICS_PORT: "0",
      BERTH_SERVICE_PORT: String(port),
    },
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (log += data));
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await until(
      "berthd has ended",
      30,
      () => child.exitCode ?? child.signalCode,
      (end) => end !== null,
    );
    rmSync(folder, { recursive: true, force: true });
  });
  await until("berthd serves", 30, () => {
    if (child.exitCode !== null) throw new Hopeless(`berthd ended with ${child.exitCode}: ${log}`);
    return log.includes(`services at port ${port}`);
  });
  return { port, workspace, scratch, pid: child.pid ?? 0, log: () => log };
}

/** Sets the row of the session so that the session runs in the berthd of this machine. */
export async function runsHere({ database }: Pick<OpenApi, "database">, sessionId: string): Promise<void> {
  await database
    .updateTable("sessions")
    .set({ state: "running", pod_ip: loopback })
    .where("id", "=", sessionId)
    .execute();
}

/** Bytes that this process holds after a garbage collection. */
export function liveHeapBytes(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (const _time of [1, 2]) collect(); // the second collection frees the objects that the first one finalized
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** How many bytes of memory the process uses. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024;

/** How many file descriptors the process has open. */
export const openDescriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;
