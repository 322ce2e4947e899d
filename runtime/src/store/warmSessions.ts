/** The sessions that are made ahead, and what their pools are adjusted by. */
import { sql } from "kysely";
import { finalStates } from "../domain/state.ts";
import type { Tier } from "../domain/tiers.ts";
import type { Spare } from "../domain/warmPlan.ts";
import type { Database } from "./database.ts";

/** Which pool a session that is made ahead is in. */
export interface PoolName {
  tenant: string;
  /** null: the platform's. */
  image: string | null;
  tier: Tier;
}

/** The pool's name as text. No name of a tenant or an image has a slash. */
export const poolKey = ({ tenant, image, tier }: PoolName) => `${tenant}/${image ?? ""}/${tier}`;

/** A session made ahead, with its pool and the generation of the newest tenants file that it met. */
export type StoredSpare = Spare & PoolName & { tenantsGeneration: number };

/** The sessions made ahead, oldest first. */
export async function sparesOf(database: Database): Promise<StoredSpare[]> {
  const rows = await database
    .selectFrom("sessions")
    .select(["id", "tenant", "image", "tier", "warm", "tenants_generation as tenantsGeneration"])
    .where("warm", "is not", null)
    .where("state", "not in", ["stopping", ...finalStates])
    .orderBy("created_at")
    .execute();
  return rows.map(({ warm, ...row }) => ({ ...row, mark: warm ?? "" }));
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

/** How many of a pool were made in the last minute, of those that nobody took; by the pool's key. */
export async function madeLately(database: Database): Promise<Map<string, number>> {
  const rows = await database
    .selectFrom("sessions")
    .select(["tenant", "image", "tier", (build) => build.fn.countAll<string>().as("count")])
    .where("warm", "is not", null)
    .where("created_at", ">", sql<Date>`now() - interval '1 minute'`)
    .groupBy(["tenant", "image", "tier"])
    .execute();
  return new Map(rows.map(({ count, ...pool }) => [poolKey(pool), Number(count)]));
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
