/**
 * How the API, a gateway or a worker shuts down: in this order, and within 25 s, which is less than its pod's grace
 * period.
 *
 * 1. The process is not ready any more. From now on, each answer asks the client to close the connection. The API or the
 *    gateway closes its WebSockets with the code 1012 and ends its streams, so that their clients connect to another
 *    process. Then the API or the gateway waits up to 5 s until its clients have closed their connections. If the server
 *    closed a connection while the client sends a request, that request would be lost.
 * 2. A worker starts no new job (onModuleDestroy of Nest). The ports close, and running requests finish (Nest closes
 *    the server).
 * 3. A worker's jobs finish, its loops stop, and the leader gives up the Lease, but watches the pods for 5 s more
 *    (onApplicationShutdown).
 * 4. The remaining traces are sent; the connections to Postgres and Redis are closed.
 * 5. The process exits with 0.
 *
 * A signal that arrives before the process has opened its HTTP port ends the process at once, without these steps; see
 * signals.ts.
 */
import type { Logger } from "pino";
import { within } from "../timing/within.ts";
import { onSignal } from "./signals.ts";

export interface ShutdownStep {
  name: string;
  run: () => unknown;
}

/** The time limit for all steps together, in milliseconds. */
export const shutdownMs = 25_000;
/** How much time a step has to leave for each later step, in milliseconds. */
const reserveMs = 1_000;

/**
 * Runs the steps one after the other. If a step fails or takes too long, logs this and runs the next step nevertheless.
 */
export async function shutDown(steps: ShutdownStep[], logger: Logger, limitMs = shutdownMs): Promise<void> {
  const end = performance.now() + limitMs;
  for (const [index, { name, run }] of steps.entries()) {
    const reserved = Math.min(reserveMs, limitMs / (2 * steps.length)) * (steps.length - 1 - index);
    try {
      await within(Math.max(0, end - performance.now() - reserved), Promise.resolve().then(run));
      logger.info({ step: name }, "shutdown");
    } catch (error) {
      logger.error({ err: error, step: name }, "a shutdown step failed or took too long");
    }
  }
}

/** Runs the steps at the first SIGTERM or SIGINT, and then ends the process. */
export function endOnSignal(steps: ShutdownStep[], logger: Logger): void {
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
