/**
 * SIGTERM and SIGINT, from the process's first moment on. A container's process is number 1, and that one is ended by no
 * signal that it doesn't listen for: one that comes while it starts would be lost, and the process killed after its grace
 * period. So `main.ts` imports this before anything else.
 */
import { constants } from "node:os";

const signals = ["SIGTERM", "SIGINT"] as const;
type Signal = (typeof signals)[number];

/** Before there is anything to end in order: a transaction that is open is rolled back, a job is taken by somebody else. */
let end = (signal: Signal): void => process.exit(128 + constants.signals[signal]);

for (const signal of signals) process.on(signal, () => end(signal));

/** Has both do this from now on. Without it, they end the process at once, with 128 and the signal's number. */
export function onSignal(work: (signal: Signal) => void): void {
  end = work;
}
