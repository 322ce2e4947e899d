/**
 * Counts the usage of ended sessions, and deletes old records: sessions, events, webhook deliveries and idempotency keys. A
 * session is deleted only after its usage has been counted. Only the leader does this work, in small batches. Between two
 * batches the leader pauses, so that other processes can use the database.
 */
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { Config } from "../config/config.ts";
import { type History, historyBatch } from "../store/history.ts";
import { type Usage, usageBatch } from "../store/usage.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { jittered, Loop } from "../timing/loop.ts";

export type HistoryLimits = Pick<
  Config,
  | "SESSION_RETENTION_SECONDS"
  | "EVENT_RETENTION_SECONDS"
  | "DELIVERY_RETENTION_SECONDS"
  | "IDEMPOTENCY_RETENTION_SECONDS"
>;

export interface HistoryExpiryOptions {
  history: Pick<History, "expireSessions" | "expireEvents" | "expireDeliveries" | "forgetKeys">;
  usage: Pick<Usage, "countEnded">;
  limits: HistoryLimits;
  isLeader: () => boolean;
  metrics: Pick<Metrics, "historyRemoved">;
  logger: Pick<Logger, "warn">;
}

/** Milliseconds until the next iteration: `quietMs` if nothing was left, `busyMs` if there may be more. */
const [quietMs, busyMs] = [60_000, 100];

export class HistoryExpiry implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#iterate());

  constructor(private readonly options: HistoryExpiryOptions) {}

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop();
  }

  /** Whether the loop still begins iterations. An iteration that fails counts too. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  /** Handles one batch of each kind. Returns whether more may be left. If a kind fails, the others still run. */
  async expire(): Promise<boolean> {
    const { history, usage, limits, metrics, logger } = this.options;
    const kinds: [kind: string, batch: number, work: () => Promise<number>][] = [
      ["usage", usageBatch, () => usage.countEnded()],
      ["session", historyBatch.sessions, () => history.expireSessions(limits.SESSION_RETENTION_SECONDS)],
      ["event", historyBatch.events, () => history.expireEvents(limits.EVENT_RETENTION_SECONDS)],
      ["delivery", historyBatch.deliveries, () => history.expireDeliveries(limits.DELIVERY_RETENTION_SECONDS)],
      ["key", historyBatch.keys, () => history.forgetKeys(limits.IDEMPOTENCY_RETENTION_SECONDS)],
    ];
    let isMore = false;
    for (const [kind, batch, work] of kinds) {
      try {
        const count = await work();
        if (kind !== "usage") metrics.historyRemoved.inc({ kind }, count);
        isMore ||= count === batch;
      } catch (error) {
        logger.warn({ err: error, kind }, "old records could not be removed; the worker tries again soon");
      }
    }
    return isMore;
  }

  async #iterate(): Promise<number> {
    if (!this.options.isLeader()) return 1_000;
    return (await this.expire()) ? busyMs : jittered(quietMs);
  }
}
