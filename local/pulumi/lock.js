/** The lock by which one run of Pulumi keeps others off a stack; a killed run leaves it behind. */
import { existsSync, globSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../lib/steps.ts";
/** A run that was told to stop still waits for what it has begun; this long it is waited for. */
const patienceMs = 300_000;
/**
 * Removes locks of runs that are no more, and waits for one that still runs.
 * @param backend folder of Pulumi's state
 * @throws UserError when another run holds the stack for too long
 */
export async function freeLock(backend, stack) {
    const deadline = performance.now() + patienceMs;
    for (let told = false;; told = true) {
        const pid = removeStaleLocks(backend, stack);
        if (pid === undefined)
            return;
        if (!told)
            console.log(`  another pulumi (process ${pid}) works on the stack ${stack}; waiting for its end`);
        if (performance.now() > deadline)
            throw new UserError(`process ${pid}, a pulumi, still works on the stack ${stack}. Wait for it or end it (kill ${pid}), then run again.`);
        await sleep(500);
    }
}
/** Removes the locks whose run has ended; returns the process of one that has not. */
export function removeStaleLocks(backend, stack) {
    const folder = join(backend, ".pulumi", "locks", "organization", "berth", stack);
    if (!existsSync(folder))
        return undefined;
    for (const name of globSync("*.json", { cwd: folder })) {
        const pid = holder(join(folder, name));
        if (pid !== undefined)
            return pid;
        for (const file of [name, `${name}.attrs`])
            rmSync(join(folder, file), { force: true });
    }
    return undefined;
}
/** The process that holds the lock, if it lives and is a pulumi; its number may belong to another program by now. */
function holder(lock) {
    try {
        const { pid } = JSON.parse(readFileSync(lock, "utf8"));
        const [, program, state] = /^\d+ \((.*)\) (\S)/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
        return program === "pulumi" && state !== "Z" ? pid : undefined;
    }
    catch {
        return undefined; // half-written, or its process is gone
    }
}
