/** Creates sessions, claims warm sessions in place of new ones, and finds sessions by their idempotency key. */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import type { Session, WorkspaceMode } from "../domain/session.ts";
import type { State } from "../domain/states/state.ts";
import type { Tier } from "../domain/tiers.ts";
import { logEvents } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import { newestOf } from "./generations.ts";
import type { NewSession } from "./newSession.ts";
import { sessionColumns } from "./sessionColumns.ts";
import { taskBinding } from "./taskBinding.ts";
import type { TaskCipher } from "./taskCipher.ts";
import { claimWarm } from "./warmClaim.ts";

/** The session that was created, claimed, or found by its idempotency key; or why there is none. */
export type Created =
  | { session: Session; replayed: boolean }
  /** The idempotency key was used with another request. */
  | "mismatch"
  /** Too many of the tenant's sessions are queued; try again later. */
  | "backlog";

export class SessionCreation {
  readonly #bindLater: ReturnType<typeof taskBinding>;

  constructor(
    private readonly database: Database,
    private readonly cipher: TaskCipher,
    private readonly tenants: Pick<TenantsFile, "generation">,
    private readonly onEvents: () => void,
  ) {
    this.#bindLater = taskBinding(database, cipher);
  }

  /**
   * Claims a warm session if the request allows a claim and a warm session is free. Otherwise creates a session in state
   * `queued`. If the tenant has already created a session with the same idempotency key, returns that session and creates
   * none.
   */
  async create(request: NewSession, actor: Actor): Promise<Created> {
    const { tenant, namespace, idempotency, backlogLimit, task, claim, warm, ...rest } = request;
    const id = randomUUID();
    const tokenKey = this.cipher.keys.current;
    const requestHash = idempotency === undefined ? null : this.cipher.fingerprint(idempotency.request);
    if (claim !== undefined) {
      const session = await this.#claim(request, claim, requestHash, actor);
      if (session !== undefined) {
        this.onEvents();
        return { session, replayed: false };
      }
    }
    const queuedCount = sql<number>`(
      select count(*) from sessions where tenant = ${tenant} and state = 'queued' and warm is null)`;
    const row = {
      id: sql<string>`${id}::uuid`,
      tenant: sql<string>`${tenant}::text`,
      namespace: sql<string>`${namespace}::text`,
      tier: sql<Tier>`${rest.tier}::text`,
      image: sql<string | null>`${rest.image ?? null}::text`,
      desktop: sql<boolean>`${rest.desktop ?? true}::boolean`,
      state: sql<State>`'queued'`,
      labels: sql<string>`${JSON.stringify(rest.labels ?? {})}::jsonb`,
      task: sql<string | null>`${task === undefined ? null : this.cipher.encrypt(task, tokenKey, { sid: id })}::text`,
      priority: sql<number>`${rest.priority ?? 50}::smallint`,
      idle_timeout_seconds: sql<number | null>`${rest.idleTimeoutSeconds ?? null}::integer`,
      max_lifetime_seconds: sql<number | null>`${rest.maxLifetimeSeconds ?? null}::integer`,
      workspace_mode: sql<WorkspaceMode>`${rest.workspaceMode ?? "persistent"}::text`,
      idempotency_key: sql<string | null>`${idempotency?.key ?? null}::text`,
      request_hash: sql<string | null>`${requestHash}::text`,
      warm: sql<string | null>`${warm ?? null}::text`,
      token_key: sql<number>`${tokenKey}::smallint`,
      tenants_generation: sql<number>`${this.tenants.generation}::float8`,
    };
    const columns = Object.keys(row) as (keyof typeof row)[];
    const created = await this.database
      .with("created", (db) =>
        db
          .insertInto("sessions")
          .columns(columns)
          .expression(
            sql<never>`select ${sql.join(columns.map((column) => row[column]))}
              where ${backlogLimit === undefined ? sql`true` : sql`${queuedCount} < ${backlogLimit}`}`,
          )
          .onConflict((conflict) => conflict.constraint("sessions_idempotency").doNothing())
          .returning(sessionColumns),
      )
      .with("logged", logEvents("created", "created", actor))
      .selectFrom("created")
      .selectAll()
      .executeTakeFirst();
    if (created !== undefined) {
      this.onEvents();
      return { session: created, replayed: false };
    }

    const earlier = await this.database
      .selectFrom("sessions")
      .select(sessionColumns)
      .select("request_hash as requestHash")
      .where("tenant", "=", tenant)
      .where("idempotency_key", "=", idempotency?.key ?? null)
      .executeTakeFirst();
    if (earlier === undefined) return "backlog";
    const { requestHash: hashOfEarlier, ...session } = earlier;
    const same = hashOfEarlier === null || this.cipher.isFingerprint(hashOfEarlier, idempotency?.request);
    return same ? { session, replayed: true } : "mismatch";
  }

  /**
   * Encrypts the task before Postgres chooses a warm session for the request. So one statement can choose the session and
   * store the task in it. The task is bound to the session's id later; see taskBinding.ts.
   */
  async #claim({ task, ...request }: NewSession, templateHash: string, requestHash: string | null, actor: Actor) {
    const { keys } = this.cipher;
    const id = randomUUID();
    const text = task && this.cipher.encrypt(task, keys.current, { tid: id, tenant: request.tenant });
    const encrypted = text === undefined ? null : { id, text };
    const claim = { ...request, task: encrypted, requestHash, newest: newestOf(this.tenants), keys, templateHash };
    const session = await claimWarm(this.database, claim, actor);
    if (session !== undefined && task !== undefined) this.#bindLater({ session, taskId: id, task });
    return session;
  }
}
