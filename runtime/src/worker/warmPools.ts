/** Keeps as many sessions ready ahead as tenants' `warmPools` say. Run by one process at a time. */
import { sql } from "kysely";
import type { Actor } from "../domain/event.ts";
import { finalStates } from "../domain/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import { type Tier, tierNames } from "../domain/tiers.ts";
import { warmMark } from "../domain/warmMark.ts";
import { adjust, type Spare } from "../domain/warmPlan.ts";
import type { Database } from "../store/database.ts";
import type { SessionStore } from "../store/sessionStore.ts";

export interface WarmPoolsOptions {
  database: Database;
  store: Pick<SessionStore, "create" | "find" | "apply">;
  tenants: () => Tenant[];
  agentImage: string;
  /** Has the session looked at. */
  look: (sessionId: string) => void;
}

const actor: Actor = { name: "worker" };
const poolOf = (tenant: string, tier: string) => `${tenant}/${tier}`;

export class WarmPools {
  constructor(private readonly options: WarmPoolsOptions) {}

  /** Makes and ends sessions, as far as pools differ from what they shall be. Throws if Postgres can't be asked. */
  async refill(): Promise<void> {
    const { database, tenants, agentImage } = this.options;
    const [spares, lately, awaited] = await Promise.all([sparesOf(database), madeLately(database), waiting(database)]);
    for (const tenant of tenants()) {
      const mark = warmMark(agentImage, tenant);
      for (const tier of tierNames) {
        const pool = poolOf(tenant.name, tier);
        const { make, end } = adjust({
          size: tenant.maxSessions === 0 ? 0 : tenant.warmPools[tier],
          mark,
          spares: spares.get(pool) ?? [],
          lately: lately.get(pool) ?? 0,
          isAwaited: awaited.has(tenant.name),
        });
        for (const { id } of end) await this.#end(id);
        for (let made = 0; made < make; made += 1) await this.#make(tenant, tier, mark);
      }
    }
  }

  async #make({ name, namespace, workspace }: Tenant, tier: Tier, warm: string): Promise<void> {
    const { store, look } = this.options;
    const made = await store.create({ tenant: name, namespace, tier, workspaceMode: workspace.mode, warm }, actor);
    if (typeof made === "object") look(made.session.id);
  }

  /** Unless somebody takes it meanwhile, which changes its version. */
  async #end(id: string): Promise<void> {
    const { store, look } = this.options;
    const session = await store.find(id);
    if (session === undefined || session.warm === null) return;
    await store.apply(session, { type: "stop", cause: "quota-removed", reason: "Made ahead and not needed" }, actor);
    look(id);
  }
}

/** The sessions made ahead, by pool. */
async function sparesOf(database: Database): Promise<Map<string, Spare[]>> {
  const rows = await database
    .selectFrom("sessions")
    .select(["id", "tenant", "tier", "warm"])
    .where("warm", "is not", null)
    .where("state", "not in", ["stopping", ...finalStates])
    .orderBy("created_at")
    .execute();
  const pools = new Map<string, Spare[]>();
  for (const { id, tenant, tier, warm } of rows) {
    const pool = poolOf(tenant, tier);
    pools.set(pool, [...(pools.get(pool) ?? []), { id, mark: warm ?? "" }]);
  }
  return pools;
}

async function madeLately(database: Database): Promise<Map<string, number>> {
  const rows = await database
    .selectFrom("sessions")
    .select(["tenant", "tier", (build) => build.fn.countAll<string>().as("count")])
    .where("warm", "is not", null)
    .where("created_at", ">", sql<Date>`now() - interval '1 minute'`)
    .groupBy(["tenant", "tier"])
    .execute();
  return new Map(rows.map(({ tenant, tier, count }) => [poolOf(tenant, tier), Number(count)]));
}

/** Tenants whose own sessions have waited for the tenant's room for longer than one that ends takes to go. */
async function waiting(database: Database): Promise<Set<string>> {
  const rows = await database
    .selectFrom("sessions")
    .select("tenant")
    .distinct()
    .where("warm", "is", null)
    .where("state", "=", "queued")
    .where("awaits_room", "=", true)
    .where("state_since", "<", sql<Date>`now() - interval '10 seconds'`)
    .execute();
  return new Set(rows.map(({ tenant }) => tenant));
}
