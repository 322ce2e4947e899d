/** The connection to Postgres. */
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import type { DatabaseConfig } from "../config/config.ts";
import { tracing } from "../telemetry/tracing.ts";
import type { Schema } from "./schema.ts";

export type Database = Kysely<Schema>;

/**
 * A lazy pool of at most POSTGRES_POOL connections: nothing connects until the first query, and no query waits without end.
 * @param patient whether statements may take any time, as those of migrations on large tables do. Default: 10 seconds
 */
export function connectDatabase(
  config: Omit<DatabaseConfig, "SECRETS_DIR" | "LOG_LEVEL">,
  { patient = false }: { patient?: boolean } = {},
): Database {
  const pool = new pg.Pool({
    host: config.POSTGRES_HOST,
    port: config.POSTGRES_PORT,
    database: config.POSTGRES_DATABASE,
    user: config.POSTGRES_USER,
    password: config.postgresPassword,
    ssl: config.POSTGRES_TLS,
    application_name: "berth",
    max: config.POSTGRES_POOL,
    connectionTimeoutMillis: 3_000,
    ...(!patient && { statement_timeout: 10_000, query_timeout: 12_000 }),
    // A node that dies in the middle of a transaction would hold its locks for as long as TCP keeps the connection: hours.
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  });
  // A connection that breaks fails its query, if it has one, and is replaced at the next. Unheard, these events would end
  // the process: the pool's for those that are idle, the connection's own for those that are in use.
  pool.on("error", () => {});
  pool.on("connect", (connection) => connection.on("error", () => {}));
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool }),
    // The statement holds no values.
    log: ({ query, queryDurationMillis }) =>
      tracing().past("postgres", { "db.system.name": "postgresql", "db.query.text": query.sql }, queryDurationMillis),
  });
}

/** Asks Postgres for a sign of life; throws if there is none. */
export async function pingDatabase(database: Database): Promise<void> {
  await sql`select 1`.execute(database);
}

/** Whether the error means that Postgres can't be reached, or is too busy, starting or stopping: trying later may help. */
export function isDatabaseUnavailable(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string") {
    // Class 08: connection; 53: no resources; 57P: operator intervention (shutdown, starting up); 57014: statement_timeout.
    if (/^(08|53|57P|57014)/.test(code)) return true;
    if (/^E(CONNREFUSED|CONNRESET|HOSTUNREACH|NETUNREACH|PIPE|TIMEDOUT|AI_AGAIN)$|^ENOTFOUND$/.test(code)) return true;
  }
  return (
    typeof message === "string" &&
    /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout)|is not queryable$/.test(
      message,
    )
  );
}
