/**
 * Handles SIGTERM and SIGINT from the process's start. A container's first process has the id 1, and the kernel
 * ignores signals that this process has no handler for. Without this handler, a signal during the start would be
 * lost, and Kubernetes would kill the process after the grace period. So `main.ts` imports this file first.
 */
import { constants } from "node:os";

const signals = ["SIGTERM", "SIGINT"] as const;
type Signal = (typeof signals)[number];

/**
 * Until `onSignal` is called, a signal makes the process exit at once. This is safe, because Postgres rolls back an open
 * transaction, and another worker takes over a job of this process.
 */
let end = (signal: Signal): void => process.exit(128 + constants.signals[signal]);

for (const signal of signals) process.on(signal, () => end(signal));

/**
 * Sets the handler of both signals. Until this function is called, the signals end the process at once, with 128 plus
 * the signal's number.
 */
export function onSignal(work: (signal: Signal) => void): void {
  end = work;
}
