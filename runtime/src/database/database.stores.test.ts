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
    await sql`select pg_terminate_backend(${rows[0]?.pid})`.execute(database);
    const query = sql`select pg_sleep(0.1)`.execute(connection);
    await expect(query).rejects.toSatisfy(isDatabaseUnavailable);
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
