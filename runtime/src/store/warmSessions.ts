/** The sessions that are made ahead, and what their pools are adjusted by. */
import { sql } from "kysely";
import { finalStates } from "../domain/state.ts";
import type { Spare } from "../domain/warmPlan.ts";
import type { Database } from "./database.ts";

/** The name of the tenant's pool for the tier. */
export const poolOf = (tenant: string, tier: string) => `${tenant}/${tier}`;

/** The sessions made ahead, by pool, each with the generation of the newest tenants file that it met. */
export async function sparesOf(database: Database): Promise<Map<string, (Spare & { tenantsGeneration: number })[]>> {
  const rows = await database
    .selectFrom("sessions")
    .select(["id", "tenant", "tier", "warm", "tenants_generation as tenantsGeneration"])
    .where("warm", "is not", null)
    .where("state", "not in", ["stopping", ...finalStates])
    .orderBy("created_at")
    .execute();
  const pools: Awaited<ReturnType<typeof sparesOf>> = new Map();
  for (const { id, tenant, tier, warm, tenantsGeneration } of rows) {
    const pool = poolOf(tenant, tier);
    pools.set(pool, [...(pools.get(pool) ?? []), { id, mark: warm ?? "", tenantsGeneration }]);
  }
  return pools;
}

/** Which of these sessions nobody needs to wait for: they have an owner, or are there no more. */
export async function ownedOf(database: Database, ids: string[]): Promise<string[]> {
  const rows = await database
    .selectFrom("sessions")
    .select("id")
    .where("id", "in", ids)
    .where((build) => build.or([build("warm", "is", null), build("state", "in", ["stopping", ...finalStates])]))
    .execute();
  return rows.map(({ id }) => id);
}

export async function madeLately(database: Database): Promise<Map<string, number>> {
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
export async function awaitingRoom(database: Database): Promise<Set<string>> {
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
