/** What a connection that breaks does, and doesn't do. */
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { emptyDatabase } from "../testing/fixtures.ts";
import { isDatabaseUnavailable, pingDatabase } from "./database.ts";

test("a transaction that its process has left alone is ended", async () => {
  const { database } = await emptyDatabase();
  const { rows } = await sql<{ idle_in_transaction_session_timeout: string }>`
    show idle_in_transaction_session_timeout`.execute(database);
  expect(rows).toEqual([{ idle_in_transaction_session_timeout: "1min" }]);
});

test("a connection that breaks while it is in use fails its query and nothing else", async () => {
  const { database } = await emptyDatabase();
  await database.connection().execute(async (connection) => {
    const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(connection);
    const pid = rows[0]?.pid;
    const failed = expect(sql`select pg_sleep(50)`.execute(connection)).rejects.toSatisfy(isDatabaseUnavailable);
    const isRunning = sql`select 1 from pg_stat_activity where pid = ${pid} and query like '%pg_sleep%'`;
    await until("the query runs", 30, async () => (await isRunning.execute(database)).rows.length > 0);
    await sql`select pg_terminate_backend(${pid})`.execute(database);
    await failed;
    // Whether a query is sent to a broken connection or refused by the client that knows of it.
    const fault = async () => {
      const error = await sql`select 1`.execute(connection).catch((error: Error) => error);
      expect(error).toSatisfy(isDatabaseUnavailable);
      return (error as Error).message;
    };
    await until("the client knows of it", 30, fault, (message) => message.endsWith("is not queryable"));
  });
  await until("the database answers", 30, () => pingDatabase(database).then(() => true));
});

test("a statement that takes longer than it may means: later it may work", async () => {
  const { database } = await emptyDatabase();
  await database.connection().execute(async (connection) => {
    await sql`set statement_timeout = 20`.execute(connection);
    await expect(sql`select pg_sleep(10)`.execute(connection)).rejects.toSatisfy(isDatabaseUnavailable);
  });
});
