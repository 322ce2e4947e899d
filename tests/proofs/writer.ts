/** Writes to the sessions table all the time, as pods of the previous version do during migrations. */
import { query } from "./platform.ts";

export interface Writer {
  /**
   * Stops the writer. Returns the number of committed writes, and the errors of writes that waited for a lock for over 3 s.
   */
  stop: () => Promise<{ writes: number; failed: string[] }>;
}

/**
 * Makes up to ten writes a second, each in its own transaction, until the table `upgrade_proof` is deleted or the writer is
 * stopped; at most for an hour.
 */
const loop = `
  do $$ begin
    perform set_config('lock_timeout', '3s', false);
    for turn in 1..36000 loop
      exit when to_regclass('upgrade_proof') is null;
      update sessions set last_active_at = last_active_at where id in (select id from sessions limit 1);
      update upgrade_proof set writes = writes + 1;
      exit when (select stopped from upgrade_proof);
      commit;
      perform pg_sleep(0.1);
      commit;
    end loop;
  end $$`;

export async function startWriter(): Promise<Writer> {
  await query("create table upgrade_proof (writes integer not null, stopped boolean not null)");
  await query("insert into upgrade_proof values (0, false)");
  const failed: string[] = [];
  let stopped = false;
  const run = async () => {
    // A restart of Postgres breaks the connection, and the writer then connects again.
    while (!stopped)
      await query(loop).catch(({ message }: Error) => {
        if (/lock timeout/.test(message)) failed.push(message);
      });
  };
  const running = run();
  return {
    stop: async () => {
      stopped = true;
      await query("update upgrade_proof set stopped = true");
      await running;
      return { writes: Number(await query("select writes from upgrade_proof")), failed };
    },
  };
}
