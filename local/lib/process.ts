/**
 * Starts, finds and ends Berth's daemons on this machine, for example Docker, etcd and the kubelet. A pid file identifies each
 * daemon. A running apt-get and a running `npm run up` or `down` have a pid file too.
 */
import { type ChildProcess, spawn } from "node:child_process";
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
  /**
   * Files that the daemon reads only when it starts. If such a file changes, the next `npm run up` restarts the daemon. Default:
   * none.
   */
  files?: string[];
}

/** Returns a hash of the daemon's command, of its files and of `more`. A new hash means that the daemon must be restarted. */
export function fingerprint({ command, args, env, files = [] }: Daemon, more?: unknown): string {
  const hash = createHash("sha256").update(JSON.stringify([command, args, env, more]));
  for (const file of files) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

const pidFile = (name: string) => join(runDir, `${name}.pid`);
export const logFile = (name: string) => join(logDir, `${name}.log`);

/**
 * The process's start time in clock ticks since boot; undefined if the process is dead or a zombie. The pid alone does not
 * identify a process, because a later process may have the same pid.
 */
function startTime(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    // The first thread may be a zombie while other threads still end. Until these threads end, they hold the ports of the
    // process.
    return fields[0] === "Z" && Number(fields[17]) <= 1 ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/**
 * A name of this process for use in file names. It is unique on the machine, because it consists of the pid namespace, the pid
 * and the start time.
 */
export const ownName = (): string => `${pidNamespace()}-${process.pid}-${startTime(process.pid) ?? 0}`;

/**
 * Whether the process with this name runs. Undefined if this can't be seen from here: the process is in another pid namespace, or
 * this machine isn't Linux.
 */
export function isRunning(name: string): boolean | undefined {
  const [namespace, pid, started] = name.split("-");
  return namespace === pidNamespace() && started !== "0" ? startTime(Number(pid)) === started : undefined;
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid").replace(/\D/g, "");
  } catch {
    return "0"; // not Linux
  }
}

/** Returns the command line of a command to which the kernel sends SIGINT when this process ends for any reason. Linux only. */
export const endingWithUs = (command: string[]): string[] =>
  process.platform === "linux" ? ["setpriv", "--pdeathsig=INT", "--", ...command] : command;

/** The text as one word of a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** Sends the signal; 0 sends no signal. Returns whether the process exists. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, name);
  } catch {
    return false;
  }
}

/** The NUL-separated values of a file of the process in /proc, for example `cmdline`; none if the process has ended. */
export function readProc(pid: number, file: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0");
  } catch {
    return [];
  }
}

/** The pid of the running daemon, or undefined. */
export const pidOf = (name: string): number | undefined => noted(name)?.pid;

export const runs = (name: string): boolean => pidOf(name) !== undefined;

/** The running daemon's fingerprint; undefined if the pid file has none. */
export const fingerprintOf = (name: string): string | undefined => noted(name)?.fingerprint;

function noted(name: string): { pid: number; fingerprint: string | undefined } | undefined {
  if (!existsSync(pidFile(name))) return undefined;
  const [pid, started, fingerprint] = readFileSync(pidFile(name), "utf8").trim().split(" ");
  return started !== undefined && startTime(Number(pid)) === started ? { pid: Number(pid), fingerprint } : undefined;
}

/**
 * Makes other runs of `npm run up` and `down` fail until this process ends for any reason. Throws a UserError if another run
 * exists.
 */
export function lock(): void {
  const other = pidOf("command");
  if (other !== undefined && other !== process.pid)
    throw new UserError(
      `another npm run up or down (process ${other}) is running: wait until this process ends, or end it.`,
    );
  mkdirSync(runDir, { recursive: true });
  writeFileSync(pidFile("command"), `${process.pid} ${startTime(process.pid)}`);
}

/** The pids of the process's children. If the process is the first of its namespace, they include orphans of the namespace. */
export const childrenOf = (pid: number) => (readProc(pid, `task/${pid}/children`)[0] ?? "").split(" ").map(Number);

/**
 * Starts the daemon and returns the daemon's process; undefined if the daemon runs already. The daemon's output goes to its
 * log. Both the caller's process and the daemon's process write the daemon's pid file. So the file exists even if the caller's
 * process is killed before it has written the file.
 * @param ownFingerprint the daemon's fingerprint, which the pid file contains and `fingerprintOf` reads. Default: none
 * @param ipc whether this process sends messages to the daemon
 */
export function start(daemon: Daemon, ownFingerprint = "", ipc = false): ChildProcess | undefined {
  if (runs(daemon.name)) return undefined;
  mkdirSync(runDir, { recursive: true });
  mkdirSync(logDir, { recursive: true });
  const log = openSync(logFile(daemon.name), "a");
  const [program = "", ...args] = withPidFile(daemon.name, [daemon.command, ...daemon.args], ownFingerprint);
  const child = spawn(program, args, {
    detached: true,
    stdio: ["ignore", log, log, ...(ipc ? (["ipc"] as const) : [])],
    env: { ...process.env, ...daemon.env },
  });
  closeSync(log);
  child.unref();
  writeFileSync(pidFile(daemon.name), `${child.pid} ${startTime(Number(child.pid)) ?? ""} ${ownFingerprint}`);
  return child;
}

/** Returns the command line of a shell that writes its pid file and then becomes the command. */
export function withPidFile(name: string, command: string[], ownFingerprint = ""): string[] {
  mkdirSync(runDir, { recursive: true });
  const script = `echo "$$ $(cut -d ' ' -f 22 /proc/$$/stat) $1" >"$0.new" && mv "$0.new" "$0" && shift && exec "$@"`;
  return ["/bin/sh", "-c", script, pidFile(name), ownFingerprint, ...command];
}

/**
 * Ends the daemon and all processes in the daemon's own namespaces, and waits until they have ended.
 * @param stopMs the time in milliseconds between SIGTERM and SIGKILL
 */
export async function stop(name: string, stopMs: number): Promise<void> {
  const pid = pidOf(name);
  const first = firstOf(name);
  if (first !== undefined) signal(first, "SIGTERM");
  const deadline = performance.now() + (first === undefined ? 0 : stopMs);
  while (runs(name) && performance.now() < deadline) await sleep(50);
  if (pid !== undefined && pidOf(name) === pid) signal(first ?? pid, "SIGKILL");
  // The first process of a pid namespace ends after all other processes of the namespace.
  while (runs(name) || (first !== undefined && startTime(first) !== undefined)) await sleep(50);
  rmSync(pidFile(name), { force: true });
}

/** The pid of the only child of the process in the pid file. The child runs the daemon's program in other namespaces. */
export function firstOf(name: string): number | undefined {
  const pid = pidOf(name);
  return pid === undefined ? undefined : childrenOf(pid).find((child) => child > 0);
}

/**
 * Waits until `check` succeeds: `check` returns anything but false and doesn't throw. Throws a UserError after `seconds`. Unless
 * `mayEnd` is set, also throws as soon as `daemon` has ended.
 */
export async function waitFor(
  what: string,
  seconds: number,
  check: () => Promise<unknown>,
  daemon?: { name: string; mayEnd?: boolean },
): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    stopSignal().throwIfAborted();
    const result = await check().catch((error: Error) => error);
    if (result !== false && !(result instanceof Error)) return;
    const ended = daemon !== undefined && !daemon.mayEnd && !runs(daemon.name);
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
