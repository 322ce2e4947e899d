/** The queue of sessions to look at. It carries ids only: what to do is found out by looking. */
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
    /** How long Redis may take before a call throws, in milliseconds. Default: 2 s to add, 1 s to count. */
    private readonly patienceMs?: number,
  ) {
    this.#queue = new Queue(queueName, {
      connection: redis as unknown as ConnectionOptions,
      ...tracing().jobs,
      // No attempts of BullMQ's own: they are due by the clock of the process that failed, and triggers wait for them.
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    this.#queue.on("error", () => {}); // the connection reports its errors itself
  }

  /**
   * Has the session looked at. Triggers for one session collapse into one job; one that arrives while that job runs makes
   * it run once more, for the job may have looked already. Throws if Redis does not answer in time.
   */
  async add(sessionId: string): Promise<void> {
    await within(
      this.patienceMs ?? 2_000,
      this.#queue.add("look", { sessionId }, { deduplication: { id: sessionId, keepLastIfActive: true } }),
    );
  }

  /** Like `add`, but a failure is only logged: the worker's sweep finds the session in Postgres. */
  look(sessionId: string): void {
    this.add(sessionId).catch((error: unknown) =>
      this.logger.warn({ err: error, sessionId }, "the session could not be enqueued; the sweep will find it"),
    );
  }

  /** Number of jobs by state: waiting, active, delayed. Throws if Redis does not answer in time. */
  async counts(): Promise<Record<"waiting" | "active" | "delayed", number>> {
    const counts = await within(this.patienceMs ?? 1_000, this.#queue.getJobCounts("waiting", "active", "delayed"));
    return { waiting: counts.waiting ?? 0, active: counts.active ?? 0, delayed: counts.delayed ?? 0 };
  }

  /** For how many seconds the oldest waiting job waits; 0 if none does. Throws if Redis does not answer in time. */
  async oldestWaitingSeconds(): Promise<number> {
    const [oldest] = await within(this.patienceMs ?? 1_000, this.#queue.getJobs(["waiting"], 0, 0, true));
    return oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.timestamp) / 1_000;
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
