/** Fills the warm pools on the leader: after each claim, after each change of the tenants file, and at intervals. */
import { setTimeout as sleep } from "node:timers/promises";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { jittered, Loop } from "../timing/loop.ts";
import type { WarmPools } from "./warmPools.ts";

/** Milliseconds between two plannings at least. Claims in this time share one planning. */
const gapMs = 200;

/** Milliseconds until the next planning while warm sessions are starting and others are still missing. */
const soonMs = 500;

export interface WarmRefillOptions {
  pools: Pick<WarmPools, "refill">;
  isLeader: () => boolean;
  /** Calls the listener after each claim of any process, until the returned function is called. Some calls may be lost. */
  onClaim: (listener: () => void) => () => void;
  logger: Logger;
  /** Milliseconds between two plannings, plus or minus a tenth, if nothing happens. Default: 15 000. */
  intervalMs?: number;
}

export class WarmRefill implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#iterate());
  #stopListening = () => {};

  constructor(private readonly options: WarmRefillOptions) {}

  onApplicationBootstrap(): void {
    this.#stopListening = this.options.onClaim(() => this.wake());
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopListening();
    await this.#loop.stop();
  }

  /** Makes the loop plan soon which warm sessions to start. Does nothing if this process is not the leader. */
  wake(): void {
    this.#loop.wake();
  }

  /** Whether the loop still begins plannings. A planning that fails counts too. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  async #iterate(): Promise<number> {
    const { pools, isLeader, logger, intervalMs = 15_000 } = this.options;
    // A process that does not lead polls each second, so that a new leader plans soon.
    if (!isLeader()) return Math.min(1_000, intervalMs);
    const isFilling = await pools
      .refill(() => this.#loop.beat())
      .catch((error: unknown) => {
        logger.warn({ err: error }, "the warm pools could not be filled; the next planning tries again");
        return true;
      });
    await sleep(gapMs, undefined, { signal: this.#loop.signal }).catch(() => {});
    return isFilling ? soonMs : jittered(intervalMs);
  }
}
