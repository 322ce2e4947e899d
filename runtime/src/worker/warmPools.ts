/** Keeps as many sessions ready ahead as tenants' `warmPools` say. Run by one process at a time. */
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import type { Tenant } from "../domain/tenants.ts";
import { type Tier, tierNames } from "../domain/tiers.ts";
import { type PodImages, warmMark } from "../domain/warmMark.ts";
import { adjust } from "../domain/warmPlan.ts";
import type { Database } from "../store/database.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionCreation } from "../store/sessionCreation.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import { awaitingRoom, madeLately, poolOf, sparesOf } from "../store/warmSessions.ts";

export interface WarmPoolsOptions {
  database: Database;
  creation: Pick<SessionCreation, "create">;
  queries: Pick<SessionQueries, "find">;
  commands: Pick<SessionCommands, "apply">;
  tenants: Pick<TenantsFile, "all" | "generation">;
  images: PodImages;
  /** Has the session looked at. */
  look: (sessionId: string) => void;
}

const actor: Actor = { name: "worker" };

export class WarmPools {
  constructor(private readonly options: WarmPoolsOptions) {}

  /**
   * Makes and ends sessions, as far as pools differ from what they shall be. A pool with a session that has met a newer
   * tenants file than this process's stays as it is. Throws if Postgres can't be asked.
   */
  async refill(): Promise<void> {
    const { database, tenants, images } = this.options;
    const [spares, lately, awaited] = await Promise.all([
      sparesOf(database),
      madeLately(database),
      awaitingRoom(database),
    ]);
    for (const tenant of tenants.all()) {
      const mark = warmMark(images, tenant);
      for (const tier of tierNames) {
        const pool = poolOf(tenant.name, tier);
        const made = spares.get(pool) ?? [];
        if (made.some(({ tenantsGeneration }) => isBehind(tenants.generation, tenantsGeneration))) continue;
        const { make, end } = adjust({
          size: tenant.maxSessions === 0 ? 0 : tenant.warmPools[tier],
          mark,
          spares: made,
          lately: lately.get(pool) ?? 0,
          isAwaited: awaited.has(tenant.name),
        });
        for (const { id } of end) await this.#end(id);
        for (let made = 0; made < make; made += 1) await this.#make(tenant, tier, mark);
      }
    }
  }

  async #make({ name, namespace, workspace }: Tenant, tier: Tier, warm: string): Promise<void> {
    const { creation, look } = this.options;
    const made = await creation.create({ tenant: name, namespace, tier, workspaceMode: workspace.mode, warm }, actor);
    if (typeof made === "object") look(made.session.id);
  }

  /** Unless somebody takes it meanwhile, which changes its version. */
  async #end(id: string): Promise<void> {
    const { queries, commands, look } = this.options;
    const session = await queries.find(id);
    if (session === undefined || session.warm === null) return;
    await commands.apply(session, { type: "stop", cause: "quota-removed", reason: "Made ahead and not needed" }, actor);
    look(id);
  }
}
