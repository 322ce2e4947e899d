/**
 * Compares rows and cluster both ways, again and again, on the leader alone: what was lost on the way, by whatever, costs at
 * most one turn.
 */
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { compare, type SweptObjects, type SweptRow } from "../domain/compare.ts";
import { jittered, Loop } from "../timing/loop.ts";

export interface SweepOptions {
  isLeader: () => boolean;
  /** The namespaces of all tenants. */
  namespaces: () => string[];
  /** What sessions have in a namespace, by their ids. Throws if it can't be listed. */
  list: (namespace: string) => Promise<Map<string, Omit<SweptObjects, "namespace">>>;
  /** Every session of which something may be up, and those of the ids besides. */
  rows: (ids: string[]) => Promise<SweptRow[]>;
  /** When the database was made that the rows are of. */
  rowsSince: () => Promise<Date>;
  /** Lets sessions out of the queue whose turn it is. */
  admit: () => Promise<void>;
  /** Has the session looked at. */
  look: (sessionId: string) => Promise<void>;
  /** Removes what no row stands for. */
  removeOrphan: (place: { id: string; namespace: string }) => Promise<void>;
  logger: Logger;
  /** Milliseconds between two turns, give or take a tenth. Default 15 000. */
  intervalMs?: number;
  /** For how long objects without a row are let be, in milliseconds: a database may be on its way back. Default 5 minutes. */
  orphanGraceMs?: number;
  /** Milliseconds by a clock that never goes back, by which that time is measured. Default: performance.now. */
  clock?: () => number;
}

/** How many things stood alone at the last turn. */
export interface Findings {
  /** Pods without a row. */
  pod: number;
  /** Volumes without a row. */
  claim: number;
  /** Rows without the pod or volume that they should have. */
  row: number;
}

export class Sweep implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop: Loop;
  readonly #orphansSince = new Map<string, number>();
  #led = false;
  #findings: Findings | undefined;
  /** When the last turn went through, by performance.now(). */
  #wentThrough: number | undefined;

  constructor(private readonly options: SweepOptions) {
    this.#loop = new Loop(() => this.#next(), 60_000 + 4 * this.#intervalMs);
  }

  onApplicationBootstrap(): void {
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#loop.stop();
  }

  /** Whether rows and cluster are still compared, whatever comes of it. */
  isTurning(): boolean {
    return this.#loop.isTurning();
  }

  /** What the last turn found; undefined unless this process is the leader. */
  findings(): Findings | undefined {
    return this.options.isLeader() ? this.#findings : undefined;
  }

  /** Seconds since the last turn that went through; undefined unless this process is the leader. */
  secondsSinceTurn(): number | undefined {
    if (!this.options.isLeader() || this.#wentThrough === undefined) return undefined;
    return (performance.now() - this.#wentThrough) / 1_000;
  }

  get #intervalMs(): number {
    return this.options.intervalMs ?? 15_000;
  }

  async #next(): Promise<number> {
    const { isLeader, logger } = this.options;
    const leads = isLeader();
    const led = this.#led;
    this.#led = leads;
    if (leads)
      await this.#turn().catch((error: unknown) => logger.warn({ err: error }, "sweep failed; the next one is soon"));
    else this.#orphansSince.clear();
    // A worker that becomes the leader begins at once.
    return leads && led ? jittered(this.#intervalMs) : Math.min(1_000, this.#intervalMs);
  }

  /** Objects first, rows after: a row is made before its objects, so that one without a row has none. */
  async #turn(): Promise<void> {
    const { admit, look, rows, rowsSince } = this.options;
    const { objects, listed } = await this.#list();
    const comparison = compare(await rows([...objects.keys()]), objects, listed, await rowsSince());
    this.#findings = {
      pod: comparison.orphans.filter(({ pod }) => pod).length,
      claim: comparison.orphans.filter(({ claim }) => claim).length,
      row: comparison.bare.length,
    };
    for (const id of comparison.look) {
      if (this.#loop.signal.aborted) return;
      await look(id);
      this.#loop.alive();
    }
    // What is older than the database may be what another one knows, which this one was put in the place of.
    await this.#removeOrphans(comparison.orphans.filter(({ isOlder }) => !isOlder));
    // Last, for it waits its turn among all workers, and what is above needs nobody.
    await admit();
    this.#wentThrough = performance.now();
  }

  async #list(): Promise<{ objects: Map<string, SweptObjects>; listed: Set<string> }> {
    const objects = new Map<string, SweptObjects>();
    const listed = new Set<string>();
    for (const namespace of this.options.namespaces()) {
      try {
        const found = await this.options.list(namespace);
        listed.add(namespace);
        for (const [id, kinds] of found) objects.set(id, { namespace, ...kinds });
      } catch (error) {
        this.options.logger.warn({ err: error, namespace }, "a tenant's namespace can't be listed");
      }
      this.#loop.alive();
    }
    return { objects, listed };
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
      logger.warn({ sessionId: orphan.id, namespace: orphan.namespace }, "objects without a session are removed");
      await removeOrphan(orphan);
      this.#loop.alive();
    }
  }
}
