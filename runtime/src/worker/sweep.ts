/**
 * The sweep compares the rows with the cluster in both directions, periodically and only on the leader. So if a trigger of a
 * reconcile is lost, the session waits for at most one sweep. The sweep knows the pods from the watches, so it makes no request for
 * them. Only every fourth sweep is complete: it lists the metadata of the volume claims and Secrets too, looks for objects without
 * a row, and finds the suspended sessions that have lost their workspace. All of this may wait for a minute. A complete sweep
 * makes two requests for each namespace, so 200 tenants cost 7 requests per second.
 */
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { compare, type Listing, type SweptObjects, type SweptRow } from "../domain/states/compare.ts";
import type { PodView } from "../domain/states/podView.ts";
import { jittered, Loop } from "../timing/loop.ts";

export interface SweepOptions {
  isLeader: () => boolean;
  /** The namespaces of all tenants. */
  namespaces: () => string[];
  /** The pods of sessions in a namespace, by session id; see PodWatch. Throws if they are not known. */
  pods: (namespace: string) => Promise<Map<string, { view: PodView; since: Date }>>;
  /** The other objects of sessions in a namespace, by session id. Throws if the namespace can't be listed. */
  others: (namespace: string) => Promise<Map<string, Pick<SweptObjects, "volumeClaim" | "secret" | "since">>>;
  /** Every session that may have objects in the cluster, and the sessions with the given ids. */
  rows: (ids: string[]) => Promise<SweptRow[]>;
  /** When the database with these rows was created. */
  rowsSince: () => Promise<Date>;
  /** Requests a reconcile of the session. */
  trigger: (sessionId: string, urgency: "urgent" | "later") => Promise<void>;
  /** Deletes the objects of a session id that has no row. */
  removeOrphan: (orphan: { id: string; namespace: string }) => Promise<void>;
  logger: Logger;
  /** Milliseconds between two sweeps, plus or minus a tenth. Default: 15 000. */
  intervalMs?: number;
  /**
   * How many milliseconds objects are kept after the leader first found them without a row. In this time, somebody who is
   * restoring the database may restore the row. Default: 5 minutes.
   */
  orphanGraceMs?: number;
  /** The monotonic clock that measures `orphanGraceMs`, in milliseconds. Default: performance.now. */
  clock?: () => number;
}

/**
 * How many objects and rows without a counterpart the last complete sweep found. The names are those of the kinds in the metric
 * `berth_orphans`.
 */
export interface Findings {
  /** Pods without a row. */
  pod: number;
  /** Volume claims without a row. */
  claim: number;
  /** Rows of running sessions without a pod, and of suspended sessions whose persistent volume or Secret is missing. */
  row: number;
}

/** Every how many sweeps one is complete. */
const completeEvery = 4;

export class Sweep implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop: Loop;
  readonly #orphansSince = new Map<string, number>();
  /** How many sweeps have begun since this process leads. */
  #sweeps = 0;
  #findings: Findings | undefined;
  /** When the last sweep succeeded, by performance.now(). */
  #wentThrough: number | undefined;

  constructor(private readonly options: SweepOptions) {
    this.#loop = new Loop(() => this.#iterate(), 60_000 + 4 * this.#intervalMs);
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop();
  }

  /** To be called when this process begins to lead, so that the first sweep begins at once, or has stopped leading. */
  wake(): void {
    this.#loop.wake();
  }

  /** Whether the loop still begins sweeps. A sweep that fails counts too. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  /** What the last complete sweep found; undefined if this process is not the leader or has made no complete sweep yet. */
  findings(): Findings | undefined {
    return this.options.isLeader() ? this.#findings : undefined;
  }

  /** Seconds since the last successful sweep; undefined if this process is not the leader or no sweep has succeeded yet. */
  secondsSinceLast(): number | undefined {
    if (!this.options.isLeader() || this.#wentThrough === undefined) return undefined;
    return (performance.now() - this.#wentThrough) / 1_000;
  }

  get #intervalMs(): number {
    return this.options.intervalMs ?? 15_000;
  }

  async #iterate(): Promise<number> {
    const { isLeader, logger } = this.options;
    if (isLeader())
      await this.#sweep().catch((error: unknown) =>
        logger.warn({ err: error }, "the sweep failed; it runs again soon"),
      );
    else this.#reset();
    return jittered(this.#intervalMs);
  }

  #reset(): void {
    this.#orphansSince.clear();
    this.#sweeps = 0;
    this.#findings = undefined;
  }

  /**
   * Lists the objects before the rows. Each row is created before its objects. So if the rows, which are read later, lack
   * the row of an object, this row really does not exist.
   */
  async #sweep(): Promise<void> {
    const { trigger, rows, rowsSince } = this.options;
    // The first sweep of a new leader is not complete, so it soon finds the pods that have become ready.
    const isComplete = this.#sweeps % completeEvery === 1;
    this.#sweeps += 1;
    const listing = await this.#list(isComplete);
    const comparison = compare(await rows([...listing.objects.keys()]), listing, await rowsSince());
    if (isComplete)
      this.#findings = {
        pod: comparison.orphans.filter(({ pod }) => pod).length,
        claim: comparison.orphans.filter(({ volumeClaim }) => volumeClaim).length,
        row: comparison.bare.length,
      };
    for (const { id, isUrgent } of comparison.toReconcile) {
      if (this.#loop.signal.aborted) return;
      await trigger(id, isUrgent ? "urgent" : "later");
      this.#loop.beat();
    }
    // Objects older than this database may belong to another database, which this one replaced, so they stay.
    if (isComplete) await this.#removeOrphans(comparison.orphans.filter(({ isOlder }) => !isOlder));
    this.#wentThrough = performance.now();
  }

  async #list(isComplete: boolean): Promise<Listing> {
    const { namespaces, pods, others } = this.options;
    const objects = new Map<string, SweptObjects>();
    const listed = new Set<string>();
    for (const namespace of namespaces()) {
      try {
        const found = await pods(namespace);
        const more = isComplete ? await others(namespace) : [];
        for (const [id, { view, since }] of found)
          objects.set(id, { namespace, pod: view.is, volumeClaim: false, secret: false, since });
        for (const [id, { volumeClaim, secret, since }] of more) {
          const pod = objects.get(id);
          objects.set(id, {
            namespace,
            ...pod,
            volumeClaim,
            secret,
            since: pod && pod.since < since ? pod.since : since,
          });
        }
        listed.add(namespace);
      } catch (error) {
        this.options.logger.warn({ err: error, namespace }, "a tenant's namespace can't be listed");
      }
      this.#loop.beat();
    }
    return { objects, listed, isComplete };
  }

  async #removeOrphans(orphans: { id: string; namespace: string }[]): Promise<void> {
    const {
      clock = () => performance.now(),
      isLeader,
      logger,
      orphanGraceMs = 5 * 60_000,
      removeOrphan,
    } = this.options;
    const now = clock();
    const found = new Set(orphans.map(({ id }) => id));
    for (const id of this.#orphansSince.keys()) if (!found.has(id)) this.#orphansSince.delete(id);
    for (const orphan of orphans) {
      const since = this.#orphansSince.get(orphan.id) ?? now;
      this.#orphansSince.set(orphan.id, since);
      if (now - since < orphanGraceMs || !isLeader() || this.#loop.signal.aborted) continue;
      logger.warn({ sessionId: orphan.id, namespace: orphan.namespace }, "objects without a session are deleted");
      await removeOrphan(orphan);
      this.#loop.beat();
    }
  }
}
