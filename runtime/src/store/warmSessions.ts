/** Reads the warm sessions, and the data that determine how many warm sessions each pool gets. */
import { sql } from "kysely";
import { type Cause, endingStates, type State } from "../domain/states/state.ts";
import type { Tier } from "../domain/tiers.ts";
import type { WarmSession } from "../domain/warmPlan.ts";
import type { Database } from "./database.ts";
import { silentSeconds } from "./warmClaim.ts";

/** The pool of a warm session. */
export interface PoolName {
  tenant: string;
  /** Null: the platform's image. */
  image: string | null;
  tier: Tier;
}

/** The pool's name as text. Names of tenants and images contain no slash. */
export const poolKey = ({ tenant, image, tier }: PoolName) => `${tenant}/${image ?? ""}/${tier}`;

/** A warm session, its pool, and the newest generation of the tenants file with which a process has changed the session. */
export type StoredWarmSession = WarmSession & PoolName & { state: State; tenantsGeneration: number };

/**
 * Whether the pod of a running warm session has not reported for five minutes, although the pod of another warm session has
 * reported so lately that a user may get that session. If all pods are silent, the platform is at fault, and no warm
 * session is replaced.
 */
const isSilent = sql<boolean>`state = 'running' and coalesce(last_active_at < now() - interval '5 minutes', false) and exists (
  select from sessions as other
  where other.warm is not null and other.state = 'running' and other.last_active_at > now() - ${sql.lit(silentSeconds)} * interval '1 second')`;

/** The warm sessions, oldest first. */
export async function warmSessionsOf(database: Database): Promise<StoredWarmSession[]> {
  const rows = await database
    .selectFrom("sessions")
    .select(["id", "tenant", "image", "tier", "state", "warm", "tenants_generation as tenantsGeneration"])
    .select(isSilent.as("isSilent"))
    .where("warm", "is not", null)
    .where("state", "not in", endingStates)
    .orderBy("created_at")
    .execute();
  return rows.map(({ warm, ...row }) => ({ ...row, templateHash: warm ?? "" }));
}

/** Which of these sessions were claimed or are ending or have ended, so that their pods need not wait for an owner. */
export async function ownedOf(database: Database, ids: string[]): Promise<string[]> {
  const rows = await database
    .selectFrom("sessions")
    .select("id")
    .where("id", "in", ids)
    .where((build) => build.or([build("warm", "is", null), build("state", "in", endingStates)]))
    .execute();
  return rows.map(({ id }) => id);
}

/** Causes that say nothing about whether the pool's next session can run. */
const harmlessCauses: Cause[] = ["quota-removed", "tenant-removed", "node-drain"];

/**
 * How many warm sessions of each pool have failed in the last minute, within ten minutes after their creation. Key: the pool's
 * key. The cost grows with the number of unclaimed sessions that were created in these ten minutes.
 */
export async function failedLately(database: Database): Promise<Map<string, number>> {
  const rows = await database
    .selectFrom("sessions")
    .select(["tenant", "image", "tier", (build) => build.fn.countAll<string>().as("count")])
    .where("warm", "is not", null)
    .where("created_at", ">", sql<Date>`now() - interval '10 minutes'`)
    .where("state", "in", endingStates)
    .where("state_since", ">", sql<Date>`now() - interval '1 minute'`)
    .where("cause", "not in", harmlessCauses)
    .groupBy(["tenant", "image", "tier"])
    .execute();
  return new Map(rows.map(({ count, ...pool }) => [poolKey(pool), Number(count)]));
}

/**
 * Tenants with a requested session that has been queued for at least 10 seconds and waits for the tenant's own limits. A session
 * that is ending usually makes room in less time. The value: whether a warm session of the tenant began to end in the last 45
 * seconds, because a pod may take 30 seconds to end.
 */
export async function awaitingRoom(database: Database): Promise<Map<string, { isEnding: boolean }>> {
  const rows = await database
    .selectFrom("sessions")
    .select([
      "tenant",
      sql<boolean>`exists (
        select from sessions as ending
        where ending.tenant = sessions.tenant and ending.state = 'stopping' and ending.warm is not null
          and ending.state_since > now() - interval '45 seconds')`.as("isEnding"),
    ])
    .distinct()
    .where("warm", "is", null)
    .where("state", "=", "queued")
    .where("awaits_room", "=", true)
    .where("state_since", "<", sql<Date>`now() - interval '10 seconds'`)
    .execute();
  return new Map(rows.map(({ tenant, isEnding }) => [tenant, { isEnding }]));
}
