/** The queue of sessions to reconcile. A job contains only the session's id; the reconcile finds out what to do. */
import { type ConnectionOptions, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { tracing } from "../telemetry/tracing.ts";
import { within } from "../timing/within.ts";

export const queueName = "agent-sessions";

export class SessionQueue {
  readonly #queue: Queue;

  constructor(
    redis: Redis,
    private readonly logger: Logger,
    /** How many milliseconds Redis may take to answer before a call throws. Default: 2,000 for adding, 1,000 for counting. */
    private readonly patienceMs?: number,
  ) {
    this.#queue = new Queue(queueName, {
      connection: redis as unknown as ConnectionOptions,
      ...tracing().jobs,
      // BullMQ does not repeat a failed job. A further attempt would delay later triggers of the same session, and its
      // time would depend on the clock of the process that failed.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    this.#queue.on("error", () => {}); // the connection to Redis logs its errors itself
  }

  /**
   * Requests a reconcile of the session. Several requests for one session become one job. A request that arrives while that
   * job runs makes the job run once more, because the job may have read the session already. Throws if Redis does not answer in
   * time.
   */
  async add(sessionId: string): Promise<void> {
    await within(
      this.patienceMs ?? 2_000,
      this.#queue.add("reconcile", { sessionId }, { deduplication: { id: sessionId, keepLastIfActive: true } }),
    );
  }

  /** Like `add`, but only logs a failure, because the worker's sweep finds the session in Postgres. */
  trigger(sessionId: string): void {
    this.add(sessionId).catch((error: unknown) =>
      this.logger.warn({ err: error, sessionId }, "the session could not be enqueued; the sweep will reconcile it"),
    );
  }

  /** The number of jobs in each state. Throws if Redis does not answer in time. */
  async counts(): Promise<Record<"waiting" | "active" | "delayed", number>> {
    const counts = await within(this.patienceMs ?? 1_000, this.#queue.getJobCounts("waiting", "active", "delayed"));
    return { waiting: counts.waiting ?? 0, active: counts.active ?? 0, delayed: counts.delayed ?? 0 };
  }

  /**
   * Returns for how many seconds the oldest waiting job has waited; 0 if no job waits. Throws if Redis does not answer in time.
   */
  async oldestWaitingSeconds(): Promise<number> {
    const [oldest] = await within(this.patienceMs ?? 1_000, this.#queue.getJobs(["waiting"], 0, 0, true));
    return oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.timestamp) / 1_000;
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
