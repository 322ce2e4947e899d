/** Lets sessions out of the queue whose turn it is: one process at a time, whoever asks. */
import type { OnModuleDestroy } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { type Load, type Plan, plan, type Waiting } from "../domain/admissionPlan.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import { nothing, quotaOf, sessionAmounts, workspaceAmounts } from "../domain/quantities.ts";
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
  /** How many sessions may be starting at the same time, of all tenants. */
  maxStarting: number;
  /** Called for every session that was let out of the queue, or has to end. */
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
   * Looks at the queue as it is after this call. Calls that come while a look runs share the next one. Throws if Postgres
   * can't be asked.
   */
  run(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    this.#next ??= this.#running.catch(() => {}).then(() => this.#begin());
    return this.#next;
  }

  /** Like `run`, but nobody waits for it and a failure is only logged: the next sweep does the same. */
  kick(): void {
    this.run().catch((error: unknown) =>
      this.options.logger.warn({ err: error }, "admission failed; the sweep tries again"),
    );
  }

  /** No look begins by itself any more. */
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

  /** The lock has processes take turns, for two at once would each fill the same free places. */
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
        // One that has a workspace waits for the config to change; and it may have changed in a file that is still to be read.
        if (session?.startedAt || isUnread) await apply(id, { type: "waiting", reason });
        else if (await apply(id, { type: "fail", cause: "rejected", reason })) onChange(id);
      }
      for (const { id, reason } of waiting) await apply(id, { type: "waiting", reason });
      await noteWaits(database, waiting, impossible);
      if (waiting.length > 0) {
        this.#lookAgain([stallSeconds, ...[...sessions.values()].map(({ retrySeconds }) => retrySeconds)]);
      }
    });
  }

  /**
   * Looks again at the earliest of these times, in seconds from now, because nothing else happens then that would make
   * anybody look. One timer in each process; if the process ends, the sweep looks.
   */
  #lookAgain(times: (number | null)[]): void {
    clearTimeout(this.#timer);
    const next = Math.min(...times.filter((time) => time !== null));
    if (next === Number.POSITIVE_INFINITY || this.#isEnding) return;
    this.#timer = setTimeout(() => this.kick(), 1_000 * next + 50).unref();
  }

  async #plan(sessions: Map<string, QueuedSession>, loads: Map<string, Load>): Promise<Plan> {
    const { database, tenants, maxStarting, onChange } = this.options;
    const queue: Waiting[] = [];
    const waiting = new Map<string, Tenant>();
    for (const { session, retrySeconds } of sessions.values()) {
      const tenant = tenants.get(session.tenant);
      if (!tenant?.maxSessions) {
        onChange(session.id); // whether it ends is not said here
        continue;
      }
      waiting.set(tenant.name, tenant);
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
      [...waiting].map(([name, tenant]) => [name, { maxSessions: tenant.maxSessions, quota: quotaOf(tenant) }]),
    );
    return plan({ queue, loads, allowances, lastTurn: await lastTurnOf(database), maxStarting });
  }
}
