/**
 * How a process ends: in this order, and in 25 s at most, which is less than its pod's grace period.
 *
 * 1. It isn't ready any more. The API closes its WebSockets with 1012 and ends its streams, so that their clients connect
 *    again, elsewhere. Its answers close their connections from here on, and it waits for that (up to 5 s): a request on a
 *    connection that is being closed would be lost.
 * 2. A worker takes no new job (Nest's onModuleDestroy); the ports close, and requests that run are finished (Nest's closing
 *    of the server).
 * 3. This process's jobs are finished, its loops end, and its Lease is given up (onApplicationShutdown).
 * 4. What was traced is sent; the connections to Postgres and Redis are closed.
 * 5. Exit 0.
 *
 * A signal that comes before the process listens ends it at once; see signals.ts.
 */
import type { Logger } from "pino";
import { within } from "../timing/within.ts";
import { onSignal } from "./signals.ts";

export interface Step {
  name: string;
  run: () => unknown;
}

/** All steps together, in milliseconds. */
export const shutdownMs = 25_000;
/** What a step leaves for those after it, in milliseconds. */
const reserveMs = 1_000;

/** Runs the steps one after the other. One that fails or takes too long is logged, and the next is run all the same. */
export async function shutDown(steps: Step[], logger: Logger, limitMs = shutdownMs): Promise<void> {
  const end = performance.now() + limitMs;
  for (const [index, { name, run }] of steps.entries()) {
    const reserved = Math.min(reserveMs, limitMs / (2 * steps.length)) * (steps.length - 1 - index);
    try {
      await within(Math.max(0, end - performance.now() - reserved), Promise.resolve().then(run));
      logger.info({ step: name }, "shutdown");
    } catch (error) {
      logger.error({ err: error, step: name }, "shutdown: a step was cut short");
    }
  }
}

/** Ends the process by the steps at the first SIGTERM or SIGINT. */
export function endOnSignal(steps: Step[], logger: Logger): void {
  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    logger.info({ signal }, "shutting down");
    await shutDown(steps, logger);
    logger.info("bye");
    process.exit(0);
  };
  onSignal((signal) => void end(signal));
}
