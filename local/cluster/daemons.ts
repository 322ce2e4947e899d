/** Starts the cluster's daemons, and restarts those that no longer are what they should be. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { type Daemon, logFile, pidOf, readProc, start, stop } from "../lib/process.ts";
import { UserError } from "../lib/steps.ts";

export interface ClusterDaemon extends Daemon {
  /** Files that the daemon reads only when it starts: a change of theirs restarts it. Default none. */
  files?: string[];
}

/** Carries the daemon's name and fingerprint in its environment, so that it is known even if its pid file was lost. */
const marker = "BERTH_DAEMON";

/** Starts the daemon, or restarts it if its command or its files have changed. Returns whether it was (re)started. */
export async function ensure(daemon: ClusterDaemon): Promise<boolean> {
  const wanted = `${daemon.name}:${fingerprint(daemon)}`;
  const pid = pidOf(daemon.name);
  if (pid !== undefined && markerOf(pid) === wanted) {
    // It may stand still: a test that was killed may have stopped it (fault.ts).
    process.kill(pid, "SIGCONT");
    return false;
  }
  await stop(daemon.name, daemon.stopMs);
  await endStrays(daemon);
  return start({ ...daemon, env: { ...daemon.env, [marker]: wanted } });
}

/** Ends the daemon, and copies of it that a killed command has started without writing the pid file. */
export async function end(daemon: ClusterDaemon): Promise<void> {
  await stop(daemon.name, daemon.stopMs);
  await endStrays(daemon);
}

/**
 * Waits until `check` succeeds (returns anything but false, doesn't throw).
 * Throws a UserError after `seconds`, or as soon as the daemon that it waits for has ended.
 */
export async function until(what: string, seconds: number, check: () => Promise<unknown>, name?: string) {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const result = await check().catch((error: Error) => error);
    if (result !== false && !(result instanceof Error)) return;
    const ended = name !== undefined && pidOf(name) === undefined;
    if (ended || performance.now() > deadline) {
      const reason = result instanceof Error ? ` (${result.message.trim().split("\n").at(-1)})` : "";
      const log = name === undefined ? "" : ` Its log is ${logFile(name)}; it ends with: ${lastLogLine(name)}`;
      throw new UserError(`${what} ${ended ? "has ended" : `is not ready after ${seconds} s${reason}`}.${log}`);
    }
    await sleep(100);
  }
}

function fingerprint(daemon: ClusterDaemon): string {
  const hash = createHash("sha256").update(JSON.stringify([daemon.command, daemon.args, daemon.env]));
  for (const file of daemon.files ?? []) hash.update(readFileSync(file));
  return hash.digest("hex").slice(0, 16);
}

async function endStrays(daemon: ClusterDaemon): Promise<void> {
  for (const pid of strays(daemon)) {
    process.kill(pid, "SIGKILL");
    while (commandOf(pid) !== undefined) await sleep(20);
  }
}

/** Children inherit the marker, so the command must match too. */
function strays(daemon: ClusterDaemon): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 0 && commandOf(pid) === daemon.command)
    .filter((pid) => markerOf(pid)?.startsWith(`${daemon.name}:`));
}

function markerOf(pid: number): string | undefined {
  return readProc(pid, "environ")
    .find((setting) => setting.startsWith(`${marker}=`))
    ?.slice(marker.length + 1);
}

/** The name that the process was started under; undefined once it is gone or a zombie. */
const commandOf = (pid: number): string | undefined => readProc(pid, "cmdline")[0] || undefined;

const lastLogLine = (name: string) =>
  existsSync(logFile(name)) ? (readFileSync(logFile(name), "utf8").trim().split("\n").at(-1) ?? "") : "";
