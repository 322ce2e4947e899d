/** Elects one worker as the leader: the holder of the Lease. The library client-node has no leader election. */
import { type V1Lease, type V1LeaseSpec, V1MicroTime } from "@kubernetes/client-node";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { LeaseApi } from "../cluster/kubernetes.ts";
import { StoredLease } from "../cluster/storedLease.ts";
import { jittered, Loop } from "../timing/loop.ts";

export interface LeaderOptions {
  leases: LeaseApi;
  namespace: string;
  /** A name that only this process has. */
  identity: string;
  logger: Logger;
  /** Name of the Lease. Default: berth-worker. */
  name?: string;
  /** After how many seconds without a renewal a Lease expires. Default: 15. */
  leaseSeconds?: number;
  /** How often the Lease is renewed or requested, in milliseconds. Default: 2000. */
  intervalMs?: number;
}

/**
 * Does not compare clocks of different machines. Another process's Lease has expired if this process has seen it unchanged
 * for the Lease's duration, by this process's monotonic clock. This process trusts its own Lease for only two thirds of the
 * duration after the last successful renewal. On shutdown, this process releases its Lease, so that the next leader starts within
 * one interval.
 */
export class Leader implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#iterate());
  readonly #stored: StoredLease;
  /** Until when this process may act as the leader, by performance.now(). */
  #until = 0;
  #observed: { version: string | undefined; at: number } | undefined;
  #wasLeader = false;
  readonly #listeners: ((leads: boolean) => void)[] = [];

  constructor(private readonly options: LeaderOptions) {
    const { leases, namespace, name = "berth-worker" } = options;
    this.#stored = new StoredLease(leases, { namespace, name });
  }

  isLeader(): boolean {
    return performance.now() < this.#until && !this.#loop.signal.aborted;
  }

  /**
   * Calls the listener each time this process becomes the leader, and each time it has noticed that it is not the leader any
   * more. Not called at the shutdown.
   */
  onChange(listener: (leads: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** Whether this process still requests the Lease, whatever the answers are. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop();
    await this.#giveUp().catch((error: unknown) =>
      this.options.logger.warn({ err: error }, "the Lease could not be released; it expires by itself"),
    );
  }

  async #iterate(): Promise<number> {
    const { intervalMs = 2_000, logger } = this.options;
    const began = performance.now();
    try {
      this.#until = (await this.#hold()) ? began + (this.#leaseMs * 2) / 3 : 0;
    } catch (error) {
      logger.warn({ err: error }, "the Lease could not be requested");
    }
    this.#logChange();
    return jittered(intervalMs);
  }

  get #leaseMs(): number {
    return (this.options.leaseSeconds ?? 15) * 1_000;
  }

  /**
   * Takes or renews the Lease. Returns whether this process holds the Lease now. Throws if the Kubernetes API server does
   * not answer, or answers with an error that does not mean that another process was faster.
   */
  async #hold(): Promise<boolean> {
    const lease = await this.#stored.read();
    const isOurs = lease?.spec?.holderIdentity === this.options.identity;
    if (lease !== undefined && !isOurs && !this.#isFree(lease)) return false;
    return this.#stored.write(this.#spec(lease), lease);
  }

  #isFree({ metadata, spec }: V1Lease): boolean {
    if (!spec?.holderIdentity) return true;
    const version = metadata?.resourceVersion;
    if (this.#observed === undefined || this.#observed.version !== version)
      this.#observed = { version, at: performance.now() };
    return performance.now() - this.#observed.at > (spec.leaseDurationSeconds ?? 15) * 1_000;
  }

  /** What this process writes to the Lease. */
  #spec(before?: V1Lease): V1LeaseSpec {
    const { identity, leaseSeconds = 15 } = this.options;
    const now = new V1MicroTime();
    const mine = before?.spec?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: leaseSeconds,
      acquireTime: (mine ? before?.spec?.acquireTime : undefined) ?? now,
      renewTime: now,
      leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (mine ? 0 : 1),
    };
  }

  async #giveUp(): Promise<void> {
    const wasLeader = performance.now() < this.#until;
    this.#until = 0;
    if (!wasLeader) return;
    const lease = await this.#stored.read();
    if (lease?.spec?.holderIdentity !== this.options.identity) return;
    await this.#stored.write({ ...lease.spec, holderIdentity: "", renewTime: new V1MicroTime() }, lease);
  }

  #logChange(): void {
    if (this.isLeader() === this.#wasLeader) return;
    this.#wasLeader = this.isLeader();
    this.options.logger.info(this.#wasLeader ? "this worker is now the leader" : "this worker is no longer the leader");
    for (const listener of this.#listeners) listener(this.#wasLeader);
  }
}
