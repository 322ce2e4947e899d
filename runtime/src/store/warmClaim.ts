/** Gives a session that was made ahead to who asks for one. */
import { sql } from "kysely";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Actor } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import type { newestOf } from "./generations.ts";
import type { NewSession } from "./newSession.ts";
import { sessionColumns } from "./sessionColumns.ts";

/** Another session has the request's idempotency key: Postgres' unique_violation. */
const isTaken = (error: unknown) => (error as { code?: unknown }).code === "23505";

/**
 * The oldest one of the tenant that fits and runs, as the session that was asked for: its time begins now. Undefined if
 * there is none, or if a session of the tenant waits for the tenant's room, which the warm one would make. No two callers get
 * the same.
 * @param mark what it must be made from
 * @param encrypt makes the task of the session
 */
export async function claimWarm(
  database: Database,
  request: NewSession & { requestHash: string | null; newest: ReturnType<typeof newestOf>; keys: TokenKeys },
  mark: string,
  encrypt: (session: Pick<Session, "id" | "tokenKey">) => Promise<string | null>,
  actor: Actor,
): Promise<Session | undefined> {
  const { tenant, tier, workspaceMode = "persistent" } = request;
  const now = sql<Date>`now()`;
  const claim = database.transaction().execute(async (transaction) => {
    const spare = await transaction
      .selectFrom("sessions")
      .select(["id", "token_key as tokenKey"])
      .where("tenant", "=", tenant)
      .where("tier", "=", tier)
      .where("workspace_mode", "=", workspaceMode)
      .where("warm", "=", mark)
      .where("state", "=", "running")
      // During a rollout a pod of before may not have the newest key.
      .where("token_key", "in", request.keys.ids)
      .where(sql<boolean>`not exists (
        select from sessions as earlier
        where earlier.tenant = ${tenant} and earlier.state = 'queued' and earlier.warm is null and earlier.awaits_room)`)
      .orderBy("created_at")
      .limit(1)
      .forUpdate()
      .skipLocked()
      .executeTakeFirst();
    if (spare === undefined) return undefined;
    const task = await encrypt(spare);
    return transaction
      .with("changed", (db) =>
        db
          .updateTable("sessions")
          .set({
            warm: null,
            labels: JSON.stringify(request.labels ?? {}),
            priority: request.priority ?? 50,
            idle_timeout_seconds: request.idleTimeoutSeconds ?? null,
            max_lifetime_seconds: request.maxLifetimeSeconds ?? null,
            idempotency_key: request.idempotency?.key ?? null,
            request_hash: request.requestHash,
            task,
            created_at: now,
            started_at: now,
            state_since: now,
            last_active_at: now,
            updated_at: now,
            ran_seconds: 0,
            version: sql`version + 1`,
            tenants_generation: request.newest,
          })
          .where("id", "=", spare.id)
          .returning(sessionColumns),
      )
      .with("logged", logEvents("changed", "claimed", actor))
      .selectFrom("changed")
      .selectAll()
      .executeTakeFirstOrThrow();
  });
  return claim.catch((error: unknown) => {
    if (isTaken(error)) return undefined;
    throw error;
  });
}
