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

/** How many rows one statement changes. So each statement ends in time, and hardly delays other processes. */
export const cleanUpBatch = 200;

/**
 * Returns how many workspaces expired. If Redis does not answer, the worker's sweep finds the expired workspaces.
 * @throws AggregateError if a step failed, for example because Postgres does not answer. The other steps ran nevertheless.
 */
export async function cleanUp(
  database: Database,
  queue: Pick<SessionQueue, "add">,
  logger: Pick<Logger, "warn" | "error">,
  { logRetentionSeconds }: { logRetentionSeconds: number },
): Promise<number> {
  let workspaces = 0;
  const expire = async () => {
    const expired = await expireWorkspaces(database, { name: "cleanup" }, cleanUpBatch);
    for (const sessionId of expired) {
      await queue.add(sessionId, "later").catch((error: unknown) => {
        logger.warn({ err: error, sessionId }, "the session could not be enqueued; the sweep will reconcile it");
      });
    }
    workspaces += expired.length;
    return expired.length;
  };
  // Each step handles one batch and returns its size. Deleting logs takes the longest, so that step is the last one.
  const steps: Record<string, () => Promise<number>> = {
    "expire workspaces": expire,
    "wipe the tasks of ended sessions": () => wipeTasksOfEnded(database, cleanUpBatch),
    "delete old tickets and links": () => new Grants(database).expire(cleanUpBatch),
    "delete old logs": () => new KeptLogs(database).expire(logRetentionSeconds, cleanUpBatch),
  };
  const errors: unknown[] = [];
  for (const [step, handleBatch] of Object.entries(steps)) {
    try {
      while ((await handleBatch()) > 0);
    } catch (error) {
      logger.error({ err: error, step }, "a step of the clean-up failed; the next run tries again");
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, `${errors.length} steps of the clean-up failed`);
  return workspaces;
}
