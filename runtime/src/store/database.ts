/** The connection to Postgres. */
import { Kysely, PostgresDialect, sql } from "kysely";
import pg from "pg";
import type { DatabaseConfig } from "../config/config.ts";
import { tracing } from "../telemetry/tracing.ts";
import type { Schema } from "./schema.ts";

export type Database = Kysely<Schema>;

/**
 * A pool of at most POSTGRES_POOL connections. The first query opens the first connection.
 * @param patient true: opening a connection may take a minute, and statements have no time limit, because migrations of large
 * tables take long. Default: false, opening a connection may take 3 seconds, and a statement 10 seconds
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
    ...(patient
      ? { connectionTimeoutMillis: 60_000 }
      : { connectionTimeoutMillis: 3_000, statement_timeout: 10_000, query_timeout: 12_000 }),
    // Without this limit, after the death of a node, Postgres would keep the locks of the node's open transactions until TCP
    // gives up the connection, which takes hours.
    idle_in_transaction_session_timeout: 60_000,
    keepAlive: true,
  });
  // If a connection breaks, its running query fails, and the next query opens a new connection. Without these listeners,
  // the error event of the broken connection would end the process. The pool emits this event if the connection is idle;
  // the connection itself emits it if the connection is in use.
  pool.on("error", () => {});
  pool.on("connect", (connection) => keepPlans(connection.on("error", () => {})));
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool }),
    // `query.sql` contains placeholders and no values, so the trace contains no secret.
    log: ({ query, queryDurationMillis }) =>
      tracing().past("postgres", { "db.system.name": "postgresql", "db.query.text": query.sql }, queryDurationMillis),
  });
}

/** A mark at the end of a frequent statement: Postgres may keep the statement's plan for later calls on the same connection. */
export const keptPlan = sql`/* kept plan */`;

/** Key: the text of a statement with that mark. Value: the statement's name. The program has only a few such statements. */
const namesOfKept = new Map<string, string>();

function keepPlans(connection: pg.PoolClient): void {
  const query = connection.query.bind(connection) as (...args: unknown[]) => unknown;
  const queryKept = (text: unknown, values?: unknown, ...rest: unknown[]) => {
    if (typeof text !== "string" || !text.endsWith("/* kept plan */")) return query(text, values, ...rest);
    const name = namesOfKept.get(text) ?? `kept_${namesOfKept.size}`;
    namesOfKept.set(text, name);
    return query({ name, text, values }, ...rest);
  };
  Object.assign(connection, { query: queryKept });
}

/** Checks that Postgres answers; throws if it does not. */
export async function pingDatabase(database: Database): Promise<void> {
  await sql`select 1`.execute(database);
}

/**
 * Whether the error means that Postgres can't be reached, or is overloaded, starting or stopping, so that a retry may
 * help.
 */
export function isDatabaseUnavailable(error: unknown): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === "string") {
    // Class 08: connection; 53: insufficient resources; 57P: operator intervention (shutdown, start-up); 57014:
    // statement_timeout.
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
