/** Long-running programs of the local cluster, each known by a pid file; ended only by that pid. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { logDir, runDir } from "./paths.ts";
import { UserError } from "./steps.ts";

export interface Daemon {
  /** Name of the pid file and of the log. */
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
  /** How long SIGTERM is given before SIGKILL, in milliseconds. Default 10 000. */
  stopMs?: number;
}

const pidFile = (name: string) => join(runDir, `${name}.pid`);
export const logFile = (name: string) => join(logDir, `${name}.log`);

/** The start time in clock ticks since boot, which tells a process from a later one with the same pid; undefined if dead or a zombie. */
function startTime(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    // The first thread may be a zombie while others are still ending, which hold the process's ports till then.
    return fields[0] === "Z" && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The NUL-separated values of a file of the process in /proc, e.g. `cmdline`; none if it is gone. */
export function readProc(pid: number, file: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** The pid of the running daemon, or undefined. */
export function pidOf(name: string): number | undefined {
  if (!existsSync(pidFile(name))) return undefined;
  const [pid, started] = readFileSync(pidFile(name), "utf8").trim().split(" ");
  return started !== undefined && startTime(Number(pid)) === started ? Number(pid) : undefined;
}

/** Keeps other commands off the machine's parts until this process ends, however it ends. Throws a UserError if one runs. */
export function claim(): void {
  const other = pidOf("command");
  if (other !== undefined && other !== process.pid)
    throw new UserError(`another npm run up or down (process ${other}) is at work: wait for its end, or end it.`);
  mkdirSync(runDir, { recursive: true });
  writeFileSync(pidFile("command"), `${process.pid} ${startTime(process.pid)}`);
}

/** Starts the daemon unless it runs; its output goes to its log. Returns whether it was started. */
export function start(daemon: Daemon): boolean {
  if (pidOf(daemon.name) !== undefined) return false;
  mkdirSync(runDir, { recursive: true });
  mkdirSync(logDir, { recursive: true });
  const log = openSync(logFile(daemon.name), "a");
  const child = spawn(daemon.command, daemon.args, {
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, ...daemon.env },
  });
  child.on("error", () => {}); // reported by whoever waits for the daemon
  child.unref();
  if (child.pid === undefined) throw new Error(`${daemon.command} could not be started`);
  writeFileSync(pidFile(daemon.name), `${child.pid} ${startTime(child.pid) ?? ""}`);
  return true;
}

/** Ends the daemon by its pid and waits until it is gone. */
export async function stop(name: string, stopMs = 10_000): Promise<void> {
  const pid = pidOf(name);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const deadline = performance.now() + stopMs;
    while (pidOf(name) !== undefined && performance.now() < deadline) await sleep(50);
    if (pidOf(name) !== undefined) process.kill(pid, "SIGKILL");
    while (pidOf(name) !== undefined) await sleep(50);
  }
  rmSync(pidFile(name), { force: true });
}
