/** What happens to queries and to the process when a connection to Postgres breaks. */
import { until } from "@berth/testing/until.ts";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { emptyDatabase } from "../testing/fixtures.ts";
import { isDatabaseUnavailable, keptPlan, pingDatabase } from "./database.ts";

test("a transaction that its process has abandoned is ended", async () => {
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
    // Either the query is sent to the broken connection, or the Postgres client knows of the break and refuses the query.
    const fault = async () => {
      const error = await sql`select 1`.execute(connection).catch((error: Error) => error);
      expect(error).toSatisfy(isDatabaseUnavailable);
      return (error as Error).message;
    };
    await until("the client knows of it", 30, fault, (message) => message.endsWith("is not queryable"));
  });
  await until("the database answers", 30, () => pingDatabase(database).then(() => true));
});

test("a process of the platform sets a time limit for its statements, and a patient one sets none", async () => {
  for (const [patient, limit] of [
    [false, "10s"],
    [true, "0"],
  ] as const) {
    const { database } = await emptyDatabase(undefined, { patient });
    const shown = () => sql<{ statement_timeout: string }>`show statement_timeout`.execute(database);
    const { rows } = await until(`a connection is there, patient: ${patient}`, 30, shown);
    expect(rows).toEqual([{ statement_timeout: limit }]);
  }
});

test("a statement that exceeds its time limit fails with an error that means: try again later", async () => {
  const { database } = await emptyDatabase();
  await database.connection().execute(async (connection) => {
    await sql`set statement_timeout = 20`.execute(connection);
    await expect(sql`select pg_sleep(10)`.execute(connection)).rejects.toSatisfy(isDatabaseUnavailable);
  });
});

test("a statement whose plan is kept is prepared once for a connection, and any other is not", async () => {
  const { database } = await emptyDatabase();
  await database.connection().execute(async (connection) => {
    for (const number of [1, 2, 3]) {
      const { rows } = await sql`select ${number}::int as it ${keptPlan}`.execute(connection);
      expect(rows).toEqual([{ it: number }]);
      await sql`select ${number}::int as other`.execute(connection);
    }
    const { rows } = await sql<{ statement: string; calls: string }>`
      select statement, generic_plans + custom_plans as calls from pg_prepared_statements`.execute(connection);
    expect(rows).toEqual([{ statement: "select $1::int as it /* kept plan */", calls: "3" }]);
  });
});
