/** The processes that hold all of Berth on this machine, each known by a pid file; ended only by that pid. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { machine } from "../../machine/machine.ts";
import { stopSignal, UserError } from "./steps.ts";

const { logDir, runDir } = machine;

export interface Daemon {
  /** Name of the pid file and of the log. */
  name: string;
  command: string;
  args: string[];
  env?: Record<string, string>;
  /** Files that the daemon reads only when it starts: a change of theirs restarts it. Default none. */
  files?: string[];
}

/** Tells one version of the daemon from another: by its command and its files, and by whatever else decides what it does. */
export function fingerprint({ command, args, env, files = [] }: Daemon, more?: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify([command, args, env, more]));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
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

/** Names this process among all of the machine's, in file names: by its namespace of processes, its pid and its start. */
export const ownName = (): string => `${pidNamespace()}-${process.pid}-${startTime(process.pid) ?? 0}`;

/** Whether that process is gone, as far as this one can tell: not of a process in another namespace. */
export function isGone(name: string): boolean {
  const [namespace, pid, started] = name.split("-");
  return namespace === pidNamespace() && (startTime(Number(pid)) ?? "0") !== started;
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
  } catch {
    return "0"; // not Linux
  }
}

/** The command line of a command that is interrupted (SIGINT) when this process ends, however that ends. Linux only. */
export const endingWithUs = (command: string[]): string[] =>
  process.platform === "linux" ? ["setpriv", "--pdeathsig=INT", "--", ...command] : command;

/** Whether there was such a process to send the signal to; 0 only asks. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
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
export const pidOf = (name: string): number | undefined => noted(name)?.pid;

/** The running daemon's fingerprint; undefined unless one was noted. */
export const fingerprintOf = (name: string): string | undefined => noted(name)?.fingerprint;

function noted(name: string): { pid: number; fingerprint: string | undefined } | undefined {
  if (!existsSync(pidFile(name))) return undefined;
  const [pid, started, fingerprint] = readFileSync(pidFile(name), "utf8").trim().split(" ");
  return started !== undefined && startTime(Number(pid)) === started ? { pid: Number(pid), fingerprint } : undefined;
}

/** Keeps other commands off the machine's parts until this process ends, however it ends. Throws a UserError if one runs. */
export function claim(): void {
  const other = pidOf("command");
  if (other !== undefined && other !== process.pid)
    throw new UserError(`another npm run up or down (process ${other}) is at work: wait for its end, or end it.`);
  mkdirSync(runDir, { recursive: true });
  writeFileSync(pidFile("command"), `${process.pid} ${startTime(process.pid)}`);
}

/** The processes that the process has started itself, or that were left to it as the first of its namespace. */
export const childrenOf = (pid: number) => (readProc(pid, `task/${pid}/children`)[0] ?? "").split(" ").map(Number);

/**
 * Starts the daemon unless it runs; its output goes to its log. It writes its pid file itself, so that there is none without
 * one whatever becomes of this process. Returns whether it was started.
 * @param mark its fingerprint, where that is to be asked for. Default none
 */
export function start(daemon: Daemon, mark = ""): boolean {
  if (pidOf(daemon.name) !== undefined) return false;
  mkdirSync(runDir, { recursive: true });
  mkdirSync(logDir, { recursive: true });
  const log = openSync(logFile(daemon.name), "a");
  const [program = "", ...args] = withPidFile(daemon.name, [daemon.command, ...daemon.args], mark);
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", log, log],
    env: { ...process.env, ...daemon.env },
  });
  closeSync(log);
  child.unref();
  writeFileSync(pidFile(daemon.name), `${child.pid} ${startTime(Number(child.pid)) ?? ""} ${mark}`);
  return true;
}

/** The command line that runs a command whose pid file it writes itself, whatever becomes of the process that starts it. */
export function withPidFile(name: string, command: string[], mark = ""): string[] {
  mkdirSync(runDir, { recursive: true });
  const script = `echo "$$ $(cut -d ' ' -f 22 /proc/$$/stat) $1" >"$0.new" && mv "$0.new" "$0" && shift && exec "$@"`;
  return ["/bin/sh", "-c", script, pidFile(name), mark, ...command];
}

/**
 * Ends the daemon, which holds namespaces, and with it all that runs in them; waits until they are gone.
 * @param stopMs how long it is given to end in order
 */
export async function stop(name: string, stopMs: number): Promise<void> {
  const pid = pidOf(name);
  const first = firstOf(name);
  if (first !== undefined) signal(first, "SIGTERM");
  const deadline = performance.now() + (first === undefined ? 0 : stopMs);
  while (pidOf(name) !== undefined && performance.now() < deadline) await sleep(50);
  if (pid !== undefined && pidOf(name) === pid) signal(pid, "SIGKILL");
  // The first process of namespaces goes when all others in them are gone.
  while (pidOf(name) !== undefined || (first !== undefined && startTime(first) !== undefined)) await sleep(50);
  rmSync(pidFile(name), { force: true });
}

/** The first process in the namespaces of the daemon, whose only child it is; undefined unless it runs. */
export function firstOf(name: string): number | undefined {
  const pid = pidOf(name);
  return pid === undefined ? undefined : childrenOf(pid).find((child) => child > 0);
}

/** A daemon that is waited for: where it logs, and whether it still runs. */
export interface Watched {
  name: string;
  runs: () => boolean;
}

/**
 * Waits until `check` succeeds (returns anything but false, doesn't throw).
 * Throws a UserError after `seconds`, or as soon as the daemon that it waits for has ended.
 */
export async function waitFor(what: string, seconds: number, check: () => Promise<unknown>, daemon?: Watched) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    stopSignal().throwIfAborted();
    const result = await check().catch((error: Error) => error);
    if (result !== false && !(result instanceof Error)) return;
    const ended = daemon !== undefined && !daemon.runs();
    if (ended || performance.now() > deadline) {
      const reason = result instanceof Error ? ` (${result.message.trim().split("\n").at(-1)})` : "";
      const log = daemon && ` Its log is ${logFile(daemon.name)}; it ends with: ${lastLogLine(daemon.name)}`;
      const fault = ended ? "has ended" : `is not ready after ${seconds} s${reason}`;
      throw new UserError(`${what} ${fault}.${log ?? ""} Run the command again; npm run status says what runs.`);
    }
    await sleep(100);
  }
}

const lastLogLine = (name: string) =>
  existsSync(logFile(name)) ? (readFileSync(logFile(name), "utf8").trim().split("\n").at(-1) ?? "") : "";
