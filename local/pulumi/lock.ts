/** The lock with which a run of Pulumi keeps other runs from changing the stack. A killed run leaves its lock behind. */
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../lib/steps.ts";

/** The longest wait for another run. A run that was told to stop still completes the operations that it has begun. */
const patienceMs = 300_000;

/**
 * Removes the locks of runs that have ended, and waits until a run that still holds a lock ends.
 * @param backend the folder of Pulumi's state
 * @throws UserError when another run holds a lock for too long
 */
export async function freeLock(backend: string, stack: string): Promise<void> {
  const deadline = performance.now() + patienceMs;
  for (let isAnnounced = false; ; isAnnounced = true) {
    const pid = removeStaleLocks(backend, stack);
    if (pid === undefined) return;
    if (!isAnnounced)
      console.log(`  another pulumi (process ${pid}) works on the stack ${stack}; this run waits until it ends`);
    if (performance.now() > deadline)
      throw new UserError(
        `another pulumi (process ${pid}) still works on the stack ${stack}. Wait until it ends, or end it (kill ${pid}), then run the command again.`,
      );
    await sleep(500);
  }
}

/**
 * Removes the locks of runs that have ended. Returns the pid of a run that still holds a lock; undefined if there is no such run.
 */
export function removeStaleLocks(backend: string, stack: string): number | undefined {
  const folder = join(backend, ".pulumi", "locks", "organization", "berth", stack);
  if (!existsSync(folder)) return undefined;
  for (const name of globSync("*.json", { cwd: folder })) {
    const pid = holder(join(folder, name));
    if (pid !== undefined) return pid;
    for (const file of [name, `${name}.attrs`]) rmSync(join(folder, file), { force: true });
  }
  return undefined;
}

/**
 * The pid of the process that holds the lock; undefined unless the process is a running pulumi. The program's name is checked,
 * because the pid may belong to another program by now.
 */
function holder(lock: string): number | undefined {
  try {
    const { pid } = JSON.parse(readFileSync(lock, "utf8")) as { pid: number };
    const [, program, state] = /^\d+ \((.*)\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    return program === "pulumi" && state !== "Z" ? pid : undefined;
  } catch {
    return undefined; // the lock is incomplete, or its process has ended
  }
}
