/**
 * Decides which queued sessions start. Only the leader plans: after a wake, and at intervals, so that a lost wake delays a start
 * for only a few seconds. Without a leader, queued sessions wait.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { isBehind } from "../domain/generation.ts";
import { type Plan, plan } from "../domain/quota/admissionPlan.ts";
import { candidatesOf, type QueuedSession } from "../domain/quota/candidates.ts";
import type { Bell } from "../queue/bell.ts";
import { basisOf, loadsOf, queuedSessions } from "../store/admissionQueue.ts";
import type { Database } from "../store/database.ts";
import type { QueueCommands } from "../store/queueCommands.ts";
import { Loop } from "../timing/loop.ts";
import type { StartLimit } from "./startLimit.ts";

export interface PlannerOptions {
  database: Database;
  commands: QueueCommands;
  tenants: Pick<TenantsFile, "get" | "generation">;
  isLeader: () => boolean;
  /** Wakes the leader, which may be another process. */
  bell: Pick<Bell, "ring" | "listen">;
  /** How many sessions may be starting at the same time. */
  startLimit: Pick<StartLimit, "read">;
  /**
   * Called for each session that needs a reconcile: it was admitted or has to end, or its tenant does not exist or may have
   * no sessions.
   */
  onChange: (sessionId: string) => void;
  logger: Logger;
  /** Milliseconds between two plannings without a wake. Default: 5 000. */
  intervalMs?: number;
}

/**
 * The most sessions that one statement rejects or lets wait. The statement then ends long before its time limit, and Postgres
 * finds the rows by their ids.
 */
const batch = 1_000;

export class Planner implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #loop = new Loop(() => this.#iterate());
  #stopListening = () => {};
  /** When the last planning succeeded, by performance.now(). */
  #wentThrough: number | undefined;

  constructor(private readonly options: PlannerOptions) {}

  /** Call this when a session may have entered the queue or made room: the leader plans soon. Does not throw. */
  wake(): void {
    if (this.options.isLeader()) this.#loop.wake();
    else this.options.bell.ring();
  }

  onApplicationBootstrap(): void {
    this.#stopListening = this.options.bell.listen(() => this.#loop.wake());
    this.#loop.start();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stopListening();
    await this.#loop.stop();
  }

  /** Whether the loop still begins plannings. A planning that fails counts too. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  /** Seconds since the last successful planning; undefined if this process is not the leader or no planning has succeeded yet. */
  secondsSinceLast(): number | undefined {
    if (!this.options.isLeader() || this.#wentThrough === undefined) return undefined;
    return (performance.now() - this.#wentThrough) / 1_000;
  }

  async #iterate(): Promise<number> {
    if (!this.options.isLeader()) return this.#intervalMs;
    const began = performance.now();
    let next = 1_000;
    try {
      next = await this.plan();
      this.#wentThrough = performance.now();
    } catch (error) {
      this.options.logger.warn({ err: error }, "the planning of starts failed; it runs again soon");
    }
    // The longer the queue is, the longer a planning takes. So the pause lasts as long as the planning took, also after a wake.
    await sleep(performance.now() - began, undefined, { signal: this.#loop.signal }).catch(() => {});
    return next;
  }

  /**
   * Plans once, whether or not this process leads. Returns after how many milliseconds the next planning is due. The cost grows
   * with the number of queued sessions, and for the loads with the number of sessions that have not ended. Throws if Postgres
   * does not answer.
   */
  async plan(): Promise<number> {
    const { database, commands, tenants, startLimit, onChange } = this.options;
    const { isNeeded, admissions, lastTurn } = await basisOf(database);
    if (!isNeeded) return this.#intervalMs;
    const [sessions, { loads, stallSeconds }] = await Promise.all([
      queuedSessions(database),
      loadsOf(database, (name) => tenants.get(name)),
    ]);
    const { queue, allowances, withoutTenant } = candidatesOf(sessions, (name) => tenants.get(name));
    const maxStarting = await startLimit.read(loads);
    const decided = plan({ queue, loads, allowances, lastTurn, maxStarting });
    const byId = new Map(sessions.map((session) => [session.id, session]));
    const starts = decided.admitted.map(({ id, turn }) => ({ id, turn, version: byId.get(id)?.version ?? 0 }));
    const started = starts.length > 0 ? await commands.admit(starts, admissions) : [];
    // The reconcile of a session without a tenant decides whether the session ends.
    for (const id of [...started, ...withoutTenant]) onChange(id);
    await this.#writeOthers(decided, byId);
    // Somebody has changed one of these sessions, or another planner has admitted sessions. So the plan was out of date.
    if (started.length < starts.length) return 0;
    let next = this.#intervalMs;
    if (decided.postponed.length === 0) return next;
    for (const seconds of [stallSeconds, ...sessions.map(({ retrySeconds }) => retrySeconds)]) {
      if (seconds !== null) next = Math.min(next, 1_000 * seconds + 50);
    }
    return next;
  }

  /**
   * Writes what the plan says about the sessions that don't start. A session that waits for the same as before is not written. So
   * most plannings write few rows.
   */
  async #writeOthers({ postponed, impossible }: Plan, byId: Map<string, QueuedSession>): Promise<void> {
    const { commands, tenants, onChange } = this.options;
    const rejected: Parameters<QueueCommands["reject"]>[0][number][] = [];
    const waits: Parameters<QueueCommands["wait"]>[0][number][] = [];
    const note = (session: QueuedSession, reason: string, awaitsRoom: boolean) => {
      const { id, version } = session;
      if (session.reason !== reason || session.awaitsRoom !== awaitsRoom)
        waits.push({ id, version, reason, awaitsRoom });
    };
    for (const { id, reason, for: what } of postponed) note(byId.get(id) as QueuedSession, reason, what === "room");
    for (const { id, reason } of impossible) {
      const session = byId.get(id) as QueuedSession;
      const isUnread = isBehind(tenants.generation, session.tenantsGeneration);
      // With this config, these sessions can never start. A session that has run is not rejected, because its workspace may
      // contain files. Such a session waits for a change of the config. A session that a newer tenants file has changed waits
      // until this process has read that file.
      if (session.hasRun || isUnread) note(session, reason, false);
      else rejected.push({ id, version: session.version, reason });
    }
    await this.#inBatches(rejected, async (some) => {
      for (const id of await commands.reject(some)) onChange(id);
    });
    await this.#inBatches(waits, (some) => commands.wait(some));
  }

  get #intervalMs(): number {
    return this.options.intervalMs ?? 5_000;
  }

  async #inBatches<T>(all: T[], change: (some: T[]) => Promise<void>): Promise<void> {
    for (let from = 0; from < all.length; from += batch) {
      await change(all.slice(from, from + batch));
      this.#loop.beat();
    }
  }
}
