/** Admits queued sessions that may start now. Only one process does so at a time. */
import type { OnModuleDestroy } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import { type Candidate, type Load, type Plan, plan } from "../domain/quota/admissionPlan.ts";
import { nothing, quotaOf, sessionAmounts, workspaceAmounts } from "../domain/quota/quantities.ts";
import { missingImage } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import {
  lastTurnOf,
  loadsOf,
  noteWaits,
  oneAtATime,
  type QueuedSession,
  queuedSessions,
} from "../store/admissionQueue.ts";
import type { Database } from "../store/database.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";

export interface AdmissionOptions {
  database: Database;
  commands: Pick<SessionCommands, "apply">;
  tenants: Pick<TenantsFile, "get" | "generation">;
  /** How many sessions of all tenants may be starting at the same time. */
  maxStarting: number;
  /** Called for every session that was admitted or may have to end: the session needs a reconcile. */
  onChange: (sessionId: string) => void;
  logger: Logger;
}

const actor: Actor = { name: "worker" };

export class Admission implements OnModuleDestroy {
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #isEnding = false;

  constructor(private readonly options: AdmissionOptions) {}

  /**
   * Plans the starts. The planning reads the queue after this call, so calls that arrive while a planning runs wait for, and
   * share, the next planning. Throws if Postgres does not answer.
   */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.catch(() => {}).then(() => this.#begin());
    return this.#next;
  }

  /** Like `run`, but in the background, and a failure is only logged, because the next sweep plans again. */
  kick(): void {
    this.run().catch((error: unknown) =>
      this.options.logger.warn({ err: error }, "admission failed; the sweep tries again"),
    );
  }

  /** Stops the timer. After this call, only `run` and `kick` start a planning. */
  onModuleDestroy(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isEnding = true;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const turn = this.#turn().finally(() => {
      this.#running = undefined;
    });
    this.#running = turn;
    return turn;
  }

  /** A lock lets only one process plan at a time, because two processes would fill the same free start slots. */
  async #turn(): Promise<void> {
    const { database, commands, tenants, onChange } = this.options;
    await oneAtATime(database, async () => {
      const sessions = await queuedSessions(database);
      if (sessions.size === 0) return;
      const { loads, stallSeconds } = await loadsOf(database, (name) => tenants.get(name));
      const { admitted, impossible, waiting } = await this.#plan(sessions, loads);
      const apply = async (id: string, event: Parameters<SessionCommands["apply"]>[1]) => {
        const seen = sessions.get(id)?.session;
        return seen !== undefined && typeof (await commands.apply(seen, event, actor)) === "object";
      };
      for (const { id, turn } of admitted) if (await apply(id, { type: "admitted", turn })) onChange(id);
      for (const { id, reason } of impossible) {
        const { session } = sessions.get(id) ?? {};
        const isUnread = session !== undefined && isBehind(tenants.generation, session.tenantsGeneration);
        // A session that has run waits for a change of the config, because its workspace may contain files. A session
        // that a newer tenants file has changed waits until this process has read that file.
        if (session?.startedAt || isUnread) await apply(id, { type: "waiting", reason });
        else if (await apply(id, { type: "fail", cause: "rejected", reason })) onChange(id);
      }
      for (const { id, reason } of waiting) await apply(id, { type: "waiting", reason });
      await noteWaits(database, waiting, impossible);
      if (waiting.length > 0) {
        this.#runLater([stallSeconds, ...[...sessions.values()].map(({ retrySeconds }) => retrySeconds)]);
      }
    });
  }

  /**
   * Plans again at the earliest of these times, in seconds from now, because no other event would start a planning
   * then. Each process has one timer; if the process ends, the sweep plans.
   */
  #runLater(times: (number | null)[]): void {
    clearTimeout(this.#timer);
    const next = Math.min(...times.filter((time) => time !== null));
    if (next === Number.POSITIVE_INFINITY || this.#isEnding) return;
    this.#timer = setTimeout(() => this.kick(), 1_000 * next + 50).unref();
  }

  async #plan(sessions: Map<string, QueuedSession>, loads: Map<string, Load>): Promise<Plan> {
    const { database, tenants, maxStarting, onChange } = this.options;
    const queue: Candidate[] = [];
    const queuedTenants = new Map<string, Tenant>();
    for (const { session, retrySeconds } of sessions.values()) {
      const tenant = tenants.get(session.tenant);
      if (!tenant?.maxSessions) {
        onChange(session.id); // the reconcile decides whether the session ends
        continue;
      }
      queuedTenants.set(tenant.name, tenant);
      queue.push({
        id: session.id,
        tenant: session.tenant,
        priority: session.priority,
        since: session.stateSince.getTime(),
        amounts: sessionAmounts(session, tenant),
        held: session.startedAt === null ? nothing : workspaceAmounts(session.workspaceMode, tenant),
        isWarm: session.warm !== null,
        unfit: missingImage(tenant, session.image),
        refused: retrySeconds === null ? null : (session.reason ?? "Waiting for room in the cluster"),
      });
    }
    const allowances = new Map(
      [...queuedTenants].map(([name, tenant]) => [name, { maxSessions: tenant.maxSessions, quota: quotaOf(tenant) }]),
    );
    return plan({ queue, loads, allowances, lastTurn: await lastTurnOf(database), maxStarting });
  }
}
