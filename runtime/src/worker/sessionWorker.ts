/** Runs reconcile for the sessions in the queue. */
import type { OnApplicationBootstrap, OnApplicationShutdown, OnModuleDestroy } from "@nestjs/common";
import type { ConnectionOptions, Job } from "bullmq";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { retryAfterMs } from "../cluster/kubernetes.ts";
import { queueName, type SessionQueue } from "../queue/sessionQueue.ts";
import { TurningWorker } from "../queue/turningWorker.ts";
import { withLogContext } from "../telemetry/logContext.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { tracing } from "../telemetry/tracing.ts";
import { within } from "../timing/within.ts";
import type { Reconciler } from "./reconciler.ts";

/** How long the looks that run at a shutdown are waited for, in milliseconds. */
const looksMs = 15_000;

/** How long Redis may then take to hear that they are done, in milliseconds. */
const partingMs = 3_000;

export class SessionWorker implements OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown {
  readonly #worker: TurningWorker<{ sessionId: string }>;
  readonly #timers = new Set<NodeJS.Timeout>();
  /** The looks that run in this process. */
  readonly #looks = new Set<Promise<void>>();
  /** How often in a row each session's look has failed here. */
  readonly #failures = new Map<string, number>();

  constructor(
    private readonly redis: Redis,
    private readonly queue: SessionQueue,
    private readonly reconciler: Pick<Reconciler, "reconcile">,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {
    this.#worker = new TurningWorker<{ sessionId: string }>(queueName, (job) => this.#inContext(job), {
      connection: redis as unknown as ConnectionOptions,
      ...tracing().jobs,
      autorun: false,
      concurrency: 10,
      // A look that a dead worker left behind is repeated within 20 s, as often as it takes: triggers wait for it.
      lockDuration: 10_000,
      stalledInterval: 10_000,
      maxStalledCount: 1_000,
    });
    this.#worker.on("error", () => {}); // the connection reports its errors itself
    this.#worker.on("failed", (job, error) => {
      this.logger.warn({ err: error, sessionId: job?.data.sessionId }, "reconcile failed");
    });
  }

  onApplicationBootstrap(): void {
    this.#worker.run().catch((error: unknown) => this.logger.error({ err: error }, "the queue's worker ended"));
  }

  #inContext(job: Job<{ sessionId: string }>): Promise<void> {
    const look = withLogContext({ sessionId: job.data.sessionId }, () => this.#process(job));
    this.#looks.add(look);
    const ended = () => void this.#looks.delete(look);
    look.then(ended, ended);
    return look;
  }

  async #process(job: Job<{ sessionId: string }>): Promise<void> {
    const { sessionId } = job.data;
    const measured = this.metrics.reconcileDuration.startTimer();
    try {
      const look = await this.reconciler.reconcile(sessionId);
      this.#failures.delete(sessionId);
      this.metrics.reconciles.inc({ outcome: look.outcome });
      if (look.outcome === "unknown") return;
      if (look.outcome === "changed") {
        const { state, reason, tenant } = look.session;
        this.logger.info({ sessionId, tenant, state, reason }, "session changed");
      }
      if ("againMs" in look && look.againMs !== undefined) this.#lookAgain(sessionId, look.againMs);
    } catch (error) {
      this.metrics.reconciles.inc({ outcome: "error" });
      this.#tryAgain(sessionId, error);
      throw error;
    } finally {
      measured();
    }
  }

  /** Four times, each time later, and not before the API server wants to hear of us; then it is left to the sweep. */
  #tryAgain(sessionId: string, error: unknown): void {
    const failures = (this.#failures.get(sessionId) ?? 0) + 1;
    if (failures > 4) {
      this.#failures.delete(sessionId);
      return;
    }
    this.#failures.set(sessionId, failures);
    const backoff = 500 * 2 ** (failures - 1) * (0.5 + Math.random() / 2);
    this.#lookAgain(sessionId, Math.max(backoff, retryAfterMs(error)));
  }

  /** In this process's memory only: if it dies, the sweep looks. */
  #lookAgain(sessionId: string, ms: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.queue.look(sessionId);
    }, ms);
    this.#timers.add(timer);
  }

  /** Whether the queue is still asked for jobs. */
  isTurning(): boolean {
    return this.#worker.isTurning(this.redis.status === "ready");
  }

  /** Takes no new job: this process alone, the queue goes on. */
  async onModuleDestroy(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    await this.#worker.pause(true);
  }

  /**
   * Waits for the looks that run, for 15 s at most; what is left then is found by another worker as stalled. Then closes the
   * connection, without a word where Redis is away: BullMQ would wait until Redis comes back to hear that the jobs are done.
   */
  async onApplicationShutdown(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    const ended = await within(looksMs, Promise.allSettled(this.#looks)).then(
      () => true,
      () => false,
    );
    const force = !ended || this.redis.status !== "ready";
    await within(partingMs, this.#worker.close(force)).catch((error: unknown) =>
      this.logger.warn({ err: error }, "the queue is left without a word"),
    );
  }
}
