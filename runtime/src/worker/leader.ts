/** One worker of all is the leader: who holds the Lease. client-node has no elector of its own. */
import { type V1Lease, V1MicroTime } from "@kubernetes/client-node";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { type LeaseApi, refusalOf } from "../cluster/kubernetes.ts";
import { jittered, Loop } from "../timing/loop.ts";

export interface LeaderOptions {
  leases: LeaseApi;
  namespace: string;
  /** Tells this process from the others. */
  identity: string;
  logger: Logger;
  /** Name of the Lease. Default berth-worker. */
  name?: string;
  /** How long a leader that is not heard of is waited for, in seconds. Default 15. */
  leaseSeconds?: number;
  /** How often the Lease is renewed or asked for, in milliseconds. Default 2000. */
  intervalMs?: number;
}

/**
 * Clocks are not compared: another's Lease has run out when it has stood unchanged for its duration by this process's own
 * monotonic clock, and the own one counts for two thirds of it after the last renewal that was answered. On shutdown the
 * Lease is given up, so that the next leader is there within one interval.
 */
export class Leader implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#turn());
  /** Until when this process may act as leader, by performance.now(). */
  #until = 0;
  #seen: { version: string | undefined; at: number } | undefined;
  #wasLeader = false;

  constructor(private readonly options: LeaderOptions) {}

  isLeader(): boolean {
    return performance.now() < this.#until && !this.#loop.signal.aborted;
  }

  /** Whether the Lease is still asked for, whatever the answer. */
  isTurning(): boolean {
    return this.#loop.isTurning();
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop();
    await this.#giveUp().catch((error: unknown) =>
      this.options.logger.warn({ err: error }, "the Lease could not be given up; it runs out"),
    );
  }

  async #turn(): Promise<number> {
    const { intervalMs = 2_000, logger } = this.options;
    const began = performance.now();
    try {
      this.#until = (await this.#hold()) ? began + (this.#leaseMs * 2) / 3 : 0;
    } catch (error) {
      logger.warn({ err: error }, "the Lease can't be asked for");
    }
    this.#tell();
    return jittered(intervalMs);
  }

  get #leaseMs(): number {
    return (this.options.leaseSeconds ?? 15) * 1_000;
  }

  get #at(): { namespace: string; name: string } {
    return { namespace: this.options.namespace, name: this.options.name ?? "berth-worker" };
  }

  /** Takes or renews the Lease; whether this process has it now. Throws if the API server can't be asked. */
  async #hold(): Promise<boolean> {
    const { leases, identity } = this.options;
    const lease = await this.#read();
    if (lease === undefined)
      return this.#write(() => leases.createNamespacedLease({ ...this.#at, body: this.#lease() }));
    if (lease.spec?.holderIdentity !== identity && !this.#isFree(lease)) return false;
    return this.#write(() => leases.replaceNamespacedLease({ ...this.#at, body: this.#lease(lease) }));
  }

  #isFree({ metadata, spec }: V1Lease): boolean {
    if (!spec?.holderIdentity) return true;
    const version = metadata?.resourceVersion;
    if (this.#seen === undefined || this.#seen.version !== version) this.#seen = { version, at: performance.now() };
    return performance.now() - this.#seen.at > (spec.leaseDurationSeconds ?? 15) * 1_000;
  }

  /** The Lease as this process holds it. The version in `before` has the API server refuse it if another was quicker. */
  #lease(before?: V1Lease): V1Lease {
    const { identity, leaseSeconds = 15 } = this.options;
    const now = new V1MicroTime();
    const mine = before?.spec?.holderIdentity === identity;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: before?.metadata ?? { name: this.#at.name },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: leaseSeconds,
        acquireTime: (mine ? before?.spec?.acquireTime : undefined) ?? now,
        renewTime: now,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (mine ? 0 : 1),
      },
    };
  }

  async #read(): Promise<V1Lease | undefined> {
    try {
      return await this.options.leases.readNamespacedLease(this.#at);
    } catch (error) {
      if (refusalOf(error)?.kind === "missing") return undefined;
      throw error;
    }
  }

  async #write(write: () => Promise<V1Lease>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      const kind = refusalOf(error)?.kind;
      if (kind === "conflict" || kind === "exists") return false;
      throw error;
    }
  }

  async #giveUp(): Promise<void> {
    const wasLeader = performance.now() < this.#until;
    this.#until = 0;
    if (!wasLeader) return;
    const lease = await this.#read();
    if (lease?.spec?.holderIdentity !== this.options.identity) return;
    const body = { ...lease, spec: { ...lease.spec, holderIdentity: "", renewTime: new V1MicroTime() } };
    await this.#write(() => this.options.leases.replaceNamespacedLease({ ...this.#at, body }));
  }

  #tell(): void {
    if (this.isLeader() === this.#wasLeader) return;
    this.#wasLeader = this.isLeader();
    this.options.logger.info(
      this.#wasLeader ? "this worker is the leader now" : "this worker is not the leader any more",
    );
  }
}
