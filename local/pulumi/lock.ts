/** The lock with which a run of Pulumi keeps other runs from changing the stack. A killed run leaves its lock behind. */
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../lib/process.ts";
import { step } from "../lib/steps.ts";

/**
 * Removes the locks of runs that have ended, and waits until a run that still holds a lock ends. A run that was asked to stop still
 * completes the operations that it has begun.
 * @param backend the folder of Pulumi's state
 * @throws UserError when another run holds a lock for more than five minutes
 */
export async function freeLock(backend: string, stack: string): Promise<void> {
  const pid = removeStaleLocks(backend, stack);
  if (pid === undefined) return;
  const isFree = async () => removeStaleLocks(backend, stack) === undefined;
  await step(`Wait for another pulumi (process ${pid}), which works on the stack ${stack}`, () =>
    waitFor(`The stack ${stack}, which another pulumi has locked (kill ${pid} ends that pulumi),`, 300, isFree),
  );
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
