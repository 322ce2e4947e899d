/** Claims a warm session for a user who requests a session. */
import { type QueryCreator, sql } from "kysely";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Actor } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { logEvents } from "./auditTrail.ts";
import { type Database, keptPlan } from "./database.ts";
import type { newestOf } from "./generations.ts";
import type { NewSession } from "./newSession.ts";
import type { Schema } from "./schema.ts";
import { sessionColumns } from "./sessionColumns.ts";

/** True if Postgres reported unique_violation: another session already has the request's idempotency key. */
const isTaken = (error: unknown) => (error as { code?: unknown }).code === "23505";

/**
 * A warm session is not given out if its pod has not reported for this many seconds, because its node may be gone. A pod reports
 * every 30 to 35 s, so one report may be lost.
 */
export const silentSeconds = 75;

/** What a claim needs: the request, and what the process adds to it. */
export interface Claim extends Omit<NewSession, "task"> {
  /** The encrypted task, which is bound to the random `id` in the same row; null: no task. */
  task: { id: string; text: string } | null;
  requestHash: string | null;
  newest: ReturnType<typeof newestOf>;
  keys: TokenKeys;
  /** The pod template hash that the warm session must have. */
  templateHash: string;
}

/**
 * Claims the tenant's oldest running warm session that fits the request. The lifetime of this session begins now. Returns
 * undefined, and changes no session, in three cases:
 * - No warm session of the tenant fits the request.
 * - A session of the tenant already has the request's idempotency key.
 * - An earlier session of the tenant waits for the tenant's own limits. Then the warm sessions have to make room for that
 *   earlier session.
 *
 * One statement does all this. It skips the warm sessions that other statements change at this moment. So callers never get
 * the same session, and wait for each other only if they have the same idempotency key. The cost grows with the number of
 * claims at the same moment, not with the size of the pool or the number of sessions.
 */
export async function claimWarm(database: Database, claim: Claim, actor: Actor): Promise<Session | undefined> {
  const now = sql<Date>`now()`;
  const claimed = database
    .with("changed", (db) =>
      db
        .updateTable("sessions")
        .set({
          warm: null,
          labels: JSON.stringify(claim.labels ?? {}),
          priority: claim.priority ?? 50,
          idle_timeout_seconds: claim.idleTimeoutSeconds ?? null,
          max_lifetime_seconds: claim.maxLifetimeSeconds ?? null,
          idempotency_key: claim.idempotency?.key ?? null,
          request_hash: claim.requestHash,
          task: claim.task?.text ?? null,
          task_id: claim.task?.id ?? null,
          created_at: now,
          started_at: now,
          state_since: now,
          last_active_at: now,
          updated_at: now,
          ran_seconds: 0,
          version: sql`version + 1`,
          tenants_generation: claim.newest,
        })
        .where("id", "=", oldestWarmSession(db, claim))
        .returning(sessionColumns),
    )
    .with("logged", logEvents("changed", "claimed", actor))
    .selectFrom("changed")
    .selectAll()
    .modifyEnd(keptPlan)
    .executeTakeFirst();
  return claimed.catch((error: unknown) => {
    if (isTaken(error)) return undefined;
    throw error;
  });
}

/** Locks and reads the warm session to claim. The index `sessions_to_claim` lists this session first. */
function oldestWarmSession(
  db: QueryCreator<Schema>,
  { tenant, tier, workspaceMode = "persistent", idempotency, keys, templateHash }: Claim,
) {
  return (
    db
      .selectFrom("sessions")
      .select("id")
      .where("tenant", "=", tenant)
      .where("tier", "=", tier)
      .where("warm", "=", templateHash)
      // The plan is kept, and its index contains only running warm sessions, so the state must not be a parameter.
      .where("state", "=", sql.lit("running"))
      .where("workspace_mode", "=", workspaceMode)
      // During a rollout, a process of the older version may not have the newest key.
      .where("token_key", "in", keys.ids)
      .where(sql<boolean>`coalesce(last_active_at > now() - ${sql.lit(silentSeconds)} * interval '1 second', true)`)
      .where(nobodyWaits(tenant))
      .$if(idempotency !== undefined, (query) => query.where(isNew(tenant, idempotency?.key)))
      .orderBy("created_at")
      .limit(sql.lit(1))
      // This lock lets other statements append events of the session. So such a statement does not make this one skip the session.
      .forNoKeyUpdate()
      .skipLocked()
  );
}

/** Whether no requested session of the tenant waits for the tenant's own limits. */
const nobodyWaits = (tenant: string) => sql<boolean>`not exists (
  select from sessions as earlier
  where earlier.tenant = ${tenant} and earlier.state = 'queued' and earlier.warm is null and earlier.awaits_room)`;

/** Whether no session of the tenant has the idempotency key. Postgres finds out before it looks for a warm session. */
const isNew = (tenant: string, key: string | undefined) => sql<boolean>`not exists (
  select from sessions as earlier where earlier.tenant = ${tenant} and earlier.idempotency_key = ${key})`;
