/**
 * The role `cleanup`. It ends the retention of workspaces that have been kept long enough, and asks the worker to delete
 * these workspaces. It also deletes old logs, the tasks of ended sessions, and the rows of expired tickets and links.
 */
import type { Logger } from "pino";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { Database } from "../store/database.ts";
import { Grants } from "../store/grants.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { expireWorkspaces, wipeTasksOfEnded } from "../store/retention.ts";

/**
 * Returns how many workspaces expired. Throws if Postgres does not answer. If Redis does not answer, the worker's sweep
 * finds the expired workspaces.
 */
export async function cleanUp(
  database: Database,
  queue: Pick<SessionQueue, "add">,
  logger: Pick<Logger, "warn">,
  { logRetentionSeconds }: { logRetentionSeconds: number },
): Promise<number> {
  await new KeptLogs(database).expire(logRetentionSeconds);
  await wipeTasksOfEnded(database);
  await new Grants(database).expire();
  const expired = await expireWorkspaces(database, { name: "cleanup" });
  for (const sessionId of expired) {
    await queue.add(sessionId).catch((error: unknown) => {
      logger.warn({ err: error, sessionId }, "the session could not be enqueued; the sweep will reconcile it");
    });
  }
  return expired.length;
}
