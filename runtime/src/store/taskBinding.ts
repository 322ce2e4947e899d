/**
 * Binds the tasks of claimed sessions to their sessions, after the claims. A claim stores a task that is bound to the tenant and
 * to a random id; see taskCipher.ts. Every process of this version reads such a task. The binding is for all others: a process
 * of an older version, during a rollout or after the way back, and a process that has the session's token key but not yet
 * the claimer's.
 */
import { sql } from "kysely";
import type { Session } from "../domain/session.ts";
import { gathered } from "../timing/gathered.ts";
import type { Database } from "./database.ts";
import type { Task, TaskCipher } from "./taskCipher.ts";

export interface Claimed {
  session: Pick<Session, "id" | "tokenKey">;
  /** The random id to which the stored task is bound. */
  taskId: string;
  task: Task;
}

/** For how many milliseconds claims are collected. By then their callers have the answers, and many claims cost one statement. */
const gatherMs = 100;

/**
 * Returns a function that binds a claimed session's task some time later, and waits for nothing. If Postgres does not answer
 * then, or the process ends before, the task stays as the claim stored it.
 */
export function taskBinding(database: Database, cipher: TaskCipher): (claimed: Claimed) => void {
  const bind = gathered((claims: Claimed[]) => bindTasks(database, cipher, claims), gatherMs);
  return (claimed) => void bind(claimed).catch(() => {});
}

/** Encrypts each task with its session's token key, bound to the session's id. Leaves out sessions that have ended meanwhile. */
export async function bindTasks(database: Database, cipher: TaskCipher, claims: readonly Claimed[]): Promise<void> {
  const tasks = claims.map(({ session: { id, tokenKey }, task }) => cipher.encrypt(task, tokenKey, { sid: id }));
  await sql`
    update sessions set task = bound.task, task_id = null
    from unnest(${claims.map(({ session }) => session.id)}::uuid[], ${claims.map(({ taskId }) => taskId)}::uuid[],
      ${tasks}::text[]) as bound (id, task_id, task)
    where sessions.id = bound.id and sessions.task_id = bound.task_id and sessions.task is not null`.execute(database);
}
