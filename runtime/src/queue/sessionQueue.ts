/**
 * The queue of sessions to reconcile. A job contains only the session's id; the reconcile finds out what to do. All workers take
 * the urgent jobs first, then those that are due soon, then the others. Jobs of equal urgency keep the order in which they came.
 */
import { randomUUID } from "node:crypto";
import { type ConnectionOptions, Queue } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { tracing } from "../telemetry/tracing.ts";
import { within } from "../timing/within.ts";

export const queueName = "agent-sessions";

/**
 * `urgent`: something has happened, for example a pod is ready, or a user asks for a session's end. `soon`: the planner has
 * admitted the session, so its pod has to be made; only the planner requests such jobs. `later`: nothing is known to have
 * happened, or many sessions may need a reconcile at the same time: the sweep and timers repeat reconciles, a pod waits for
 * something else, or a tenant was closed.
 *
 * No job waits without end, because a session has at most one waiting job, and because few jobs can overtake it. An urgent job
 * comes from an event; a timer repeats it at most four times if it failed, and once per sweep if it got lost. The start slots, the
 * rate limits of the API and the limiter of the in-pod channel bound the events. A job `soon` belongs to a session that has just
 * got a start slot. The jobs `later` keep their order, so each other session comes at most once before a job `later`.
 */
export type Urgency = "urgent" | "soon" | "later";

/** BullMQ takes jobs without a priority first, then those with the lowest number. */
const priorities: Record<Urgency, number | undefined> = { urgent: undefined, soon: 1, later: 2 };

/** The urgency of a job that a worker has taken. */
export const urgencyOf = ({ priority }: { priority: number }): Urgency =>
  priority === priorities.soon ? "soon" : priority === priorities.later ? "later" : "urgent";

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
   * Requests a reconcile of the session. Several requests for one session become one job, as urgent as the most urgent request. A
   * request that arrives while that job runs makes the job run once more, because the job may have read the session already; the last
   * of these requests decides how urgent the further run is. Throws if Redis does not answer in time.
   */
  async add(sessionId: string, urgency: Urgency = "urgent"): Promise<void> {
    await within(this.patienceMs ?? 2_000, this.#add(sessionId, urgency));
  }

  async #add(sessionId: string, urgency: Urgency): Promise<void> {
    const jobId = randomUUID();
    const priority = priorities[urgency];
    const job = await this.#queue.add(
      "reconcile",
      { sessionId },
      {
        jobId,
        deduplication: { id: sessionId, keepLastIfActive: true },
        ...(priority !== undefined && { priority }),
      },
    );
    // The session had a job already, which may be less urgent.
    if (urgency !== "later" && job.id !== jobId && (await job.getState()) === "prioritized") {
      await job.changePriority({ priority: priority ?? 0 });
    }
  }

  /** Like `add`, but only logs a failure, because the worker's sweep finds the session in Postgres. */
  trigger(sessionId: string, urgency: Urgency = "urgent"): void {
    this.add(sessionId, urgency).catch((error: unknown) =>
      this.logger.warn({ err: error, sessionId }, "the session could not be enqueued; the sweep will reconcile it"),
    );
  }

  /** The number of jobs in each state. Throws if Redis does not answer in time. */
  async counts(): Promise<Record<"waiting" | "active" | "delayed", number>> {
    const states = ["waiting", "prioritized", "active", "delayed"] as const;
    const counts = await within(this.patienceMs ?? 1_000, this.#queue.getJobCounts(...states));
    const of = (state: (typeof states)[number]) => counts[state] ?? 0;
    return { waiting: of("waiting") + of("prioritized"), active: of("active"), delayed: of("delayed") };
  }

  /**
   * Returns for how many seconds the oldest waiting job has waited; 0 if no job waits. Throws if Redis does not answer in time.
   */
  async oldestWaitingSeconds(): Promise<number> {
    const patienceMs = this.patienceMs ?? 1_000;
    // `getJobs` reads the first job of each of these states.
    const jobs = await within(patienceMs, this.#queue.getJobs(["waiting", "prioritized"], 0, 0, true));
    return jobs.reduce((oldest, { timestamp }) => Math.max(oldest, (Date.now() - timestamp) / 1_000), 0);
  }

  async close(): Promise<void> {
    await this.#queue.close();
  }
}
