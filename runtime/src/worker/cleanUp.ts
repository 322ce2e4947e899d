/**
 * The role `cleanup`: ends the retention of workspaces that were kept for long enough, has the worker delete them, and deletes
 * logs that were kept for long enough, tasks whose sessions have ended, and tickets and links that have ended.
 */
import type { Logger } from "pino";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { Database } from "../store/database.ts";
import { Grants } from "../store/grants.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { expireWorkspaces, wipeTasksOfEnded } from "../store/retention.ts";

/** Returns how many workspaces expired. Throws if Postgres can't be asked; without Redis the worker's sweep finds them. */
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
      logger.warn({ err: error, sessionId }, "the session could not be enqueued; the sweep will find it");
    });
  }
  return expired.length;
}
