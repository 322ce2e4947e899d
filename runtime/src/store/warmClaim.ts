/** Claims a warm session for a user who requests a session. */
import { sql } from "kysely";
import type { TokenKeys } from "../config/tokenKeys.ts";
import type { Actor } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import { logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import type { newestOf } from "./generations.ts";
import type { NewSession } from "./newSession.ts";
import { sessionColumns } from "./sessionColumns.ts";

/** True if Postgres reported unique_violation: another session already has the request's idempotency key. */
const isTaken = (error: unknown) => (error as { code?: unknown }).code === "23505";

/** How many warm sessions a caller reads. Each caller tries a random one first, because others claim at the same time. */
const candidates = 16;

/** A caller that has lost this many warm sessions to other callers gets a new session instead. */
const mostAttempts = 64;

type Spare = Pick<Session, "id" | "tokenKey">;

/** What a claim needs: the request, and what the process adds to it. */
export interface Claim extends NewSession {
  requestHash: string | null;
  newest: ReturnType<typeof newestOf>;
  keys: TokenKeys;
  /** The pod template hash that the warm session must have. */
  templateHash: string;
}

/**
 * Claims one of the tenant's oldest running warm sessions that fit the request; its lifetime begins now. Undefined if there
 * is none, if other callers were faster `mostAttempts` times, or if another session has the request's idempotency key. Also
 * undefined if an earlier session of the tenant waits for the tenant's own limits, because the warm sessions have to make room
 * for that session. Two callers never get the same session: one statement claims the session, and the statements before it
 * lock nothing.
 * @param encrypt encrypts the request's task for the session
 */
export async function claimWarm(
  database: Database,
  claim: Claim,
  encrypt: (session: Spare) => Promise<string | null>,
  actor: Actor,
): Promise<Session | undefined> {
  for (let attempts = 0; attempts < mostAttempts; ) {
    const spares = await sparesFor(database, claim);
    if (spares.length === 0) return undefined;
    const from = Math.floor(Math.random() * spares.length);
    for (const spare of [...spares.slice(from), ...spares.slice(0, from)]) {
      attempts += 1;
      const session = await take(database, claim, spare.id, await encrypt(spare), actor);
      if (session === "key is taken") return undefined;
      if (session !== undefined) return session;
    }
  }
  return undefined;
}

function sparesFor(database: Database, { tenant, tier, workspaceMode = "persistent", keys, templateHash }: Claim) {
  return (
    database
      .selectFrom("sessions")
      .select(["id", "token_key as tokenKey"])
      .where("tenant", "=", tenant)
      .where("tier", "=", tier)
      .where("workspace_mode", "=", workspaceMode)
      .where("warm", "=", templateHash)
      .where("state", "=", "running")
      // During a rollout, a process of the older version may not have the newest key.
      .where("token_key", "in", keys.ids)
      .where(nobodyWaits(tenant))
      .orderBy("created_at")
      .limit(candidates)
      .execute()
  );
}

/** Whether no requested session of the tenant waits for the tenant's own limits. */
const nobodyWaits = (tenant: string) => sql<boolean>`not exists (
  select from sessions as earlier
  where earlier.tenant = ${tenant} and earlier.state = 'queued' and earlier.warm is null and earlier.awaits_room)`;

/** Claims this session, if nobody else has done so. */
async function take(
  database: Database,
  claim: Claim,
  id: string,
  task: string | null,
  actor: Actor,
): Promise<Session | "key is taken" | undefined> {
  const now = sql<Date>`now()`;
  const taken = database
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
          task,
          created_at: now,
          started_at: now,
          state_since: now,
          last_active_at: now,
          updated_at: now,
          ran_seconds: 0,
          version: sql`version + 1`,
          tenants_generation: claim.newest,
        })
        .where("id", "=", id)
        .where("warm", "=", claim.templateHash)
        .where("state", "=", "running")
        .returning(sessionColumns),
    )
    .with("logged", logEvents("changed", "claimed", actor))
    .selectFrom("changed")
    .selectAll()
    .executeTakeFirst();
  return taken.catch((error: unknown) => {
    if (isTaken(error)) return "key is taken" as const;
    throw error;
  });
}
