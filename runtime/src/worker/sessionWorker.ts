/** Reconciles the sessions in the queue. */
import type { OnApplicationBootstrap, OnApplicationShutdown, OnModuleDestroy } from "@nestjs/common";
import type { ConnectionOptions, Job } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { retryAfterMs } from "../cluster/kubernetes.ts";
import { MonitoredWorker } from "../queue/monitoredWorker.ts";
import { queueName, type SessionQueue, type Urgency, urgencyOf } from "../queue/sessionQueue.ts";
import { withLogContext } from "../telemetry/logContext.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { tracing } from "../telemetry/tracing.ts";
import { within } from "../timing/within.ts";
import type { Reconciler } from "./reconciler.ts";

/** How many sessions a worker reconciles at the same time. */
export const workerJobs = 10;

/** How long a shutdown waits for the running reconciles, in milliseconds. */
const reconcilesMs = 15_000;

/** How long a shutdown waits, after the reconciles, until Redis knows that the jobs are done, in milliseconds. */
const partingMs = 3_000;

export class SessionWorker implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #worker: MonitoredWorker<{ sessionId: string }>;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** The reconciles that are running in this process. */
  readonly #reconciles = new Set<Promise<void>>();
  /** For each session, how many reconciles in a row have failed in this process. */
  readonly #failures = new Map<string, number>();

  constructor(
    private readonly redis: Redis,
    private readonly queue: SessionQueue,
    private readonly reconciler: Pick<Reconciler, "reconcile">,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {
    this.#worker = new MonitoredWorker<{ sessionId: string }>(queueName, (job) => this.#inContext(job), {
      connection: redis as unknown as ConnectionOptions,
      ...tracing().jobs,
      autorun: false,
      concurrency: workerJobs,
      // If a worker dies, another worker repeats its jobs within 20 s. A job may be repeated almost without a limit,
      // because as long as a job exists, each new trigger for the session waits for the job's end.
      lockDuration: 10_000,
      stalledInterval: 10_000,
      maxStalledCount: 1_000,
    });
    this.#worker.on("error", () => {}); // the connection to Redis logs its errors itself
    this.#worker.on("failed", (job, error) => {
      this.logger.warn({ err: error, sessionId: job?.data.sessionId }, "reconcile failed");
    });
  }

  onApplicationBootstrap(): void {
    this.#worker.run().catch((error: unknown) => this.logger.error({ err: error }, "the worker of the queue ended"));
  }

  #inContext(job: Job<{ sessionId: string }>): Promise<void> {
    const reconcile = withLogContext({ sessionId: job.data.sessionId }, () => this.#process(job));
    this.#reconciles.add(reconcile);
    const ended = () => void this.#reconciles.delete(reconcile);
    reconcile.then(ended, ended);
    return reconcile;
  }

  async #process(job: Job<{ sessionId: string }>): Promise<void> {
    const { sessionId } = job.data;
    const urgency = urgencyOf(job);
    const measured = this.metrics.reconcileDuration.startTimer();
    try {
      const result = await this.reconciler.reconcile(sessionId, { isAdmitted: urgency === "soon" });
      this.#failures.delete(sessionId);
      this.metrics.reconciles.inc({ outcome: result.outcome });
      if (result.outcome === "unknown") return;
      if (result.outcome === "changed") {
        const { state, reason, tenant } = result.session;
        this.logger.info({ sessionId, tenant, state, reason }, "session changed");
      }
      // The next step of a change is as urgent as this one. After a pause, nothing is known to have happened.
      if ("againMs" in result && result.againMs !== undefined)
        this.#triggerIn(result.againMs, sessionId, result.againMs === 0 ? urgency : "later");
    } catch (error) {
      this.metrics.reconciles.inc({ outcome: "error" });
      this.#tryAgain(sessionId, urgency, error);
      throw error;
    } finally {
      measured();
    }
  }

  /**
   * Retries four times with growing delays, and not earlier than the Retry-After of the Kubernetes API server allows. A retry is
   * as urgent as the job that failed. After the fourth retry, only the sweep and new triggers retry.
   */
  #tryAgain(sessionId: string, urgency: Urgency, error: unknown): void {
    const failures = (this.#failures.get(sessionId) ?? 0) + 1;
    if (failures > 4) {
      this.#failures.delete(sessionId);
      return;
    }
    this.#failures.set(sessionId, failures);
    const backoff = 500 * 2 ** (failures - 1) * (0.5 + Math.random() / 2);
    this.#triggerIn(Math.max(backoff, retryAfterMs(error)), sessionId, urgency);
  }

  /** Triggers a reconcile by a timer in this process's memory. If the process dies, the sweep triggers the reconcile. */
  #triggerIn(ms: number, sessionId: string, urgency: Urgency): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.queue.trigger(sessionId, urgency);
    }, ms);
    this.#timers.add(timer);
  }

  /** Whether the loop that takes jobs from the queue still makes iterations. True while Redis is not connected. */
  isAlive(): boolean {
    return this.#worker.isAlive(this.redis.status === "ready");
  }

  /**
   * Takes no new jobs in this process, except one if BullMQ is just waiting for a job: BullMQ can't end that wait, and if the
   * worker ignored the job, the other workers would notice the job some seconds later. Other processes continue.
   */
  async onModuleDestroy(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#worker.pause(true);
  }

  /**
   * Waits at most 15 s for the running reconciles; another worker repeats those that are not finished. Then closes the
   * connection to Redis. If reconciles still run or Redis is unreachable, closes the connection by force, because BullMQ
   * would wait for the reconciles or for Redis.
   */
  async onApplicationShutdown(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const ended = await within(reconcilesMs, Promise.allSettled(this.#reconciles)).then(
      () => true,
      () => false,
    );
    const force = !ended || this.redis.status !== "ready";
    await within(partingMs, this.#worker.close(force)).catch((error: unknown) =>
      this.logger.warn({ err: error }, "the queue's connection was closed before Redis knew that the jobs are done"),
    );
  }
}
