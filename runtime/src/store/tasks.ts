/** Reads the agents' tasks. Nothing else reads the encrypted column. */
import type { Session } from "../domain/session.ts";
import type { Database } from "./database.ts";
import type { Task, TaskCipher } from "./taskCipher.ts";

export class Tasks {
  constructor(
    private readonly database: Database,
    private readonly cipher: TaskCipher,
  ) {}

  /**
   * The task of the session's agent; an empty task if none is stored, because the session was created without one, was not
   * claimed yet or has ended. Undefined if there is no such session; `"taken"` if the session's pod has confirmed that it has
   * the task.
   */
  async of(id: string): Promise<Task | "taken" | undefined> {
    const row = await this.database
      .selectFrom("sessions")
      .select(["id", "tenant", "task", "task_id as taskId", "task_taken as taken"])
      .where("id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    if (row.taken) return "taken";
    return row.task === null ? { command: null, env: {}, secrets: {} } : this.cipher.decrypt(row, row.task);
  }

  /**
   * Records that the session's pod has the task. No caller gets the task again until the session has another pod.
   * A repeated call changes nothing.
   */
  async taken(id: string): Promise<void> {
    const row = await this.database
      .updateTable("sessions")
      .set({ task_taken: true })
      .where("id", "=", id)
      .where("warm", "is", null)
      .returning(["id", "tenant", "token_key as tokenKey", "task", "task_id as taskId"])
      .executeTakeFirst();
    if (row?.task != null && row.taskId !== null) await this.#bind(row, row.task, row.taskId);
  }

  /**
   * Binds a claimed session's task to the session's id, as the tasks of all other sessions are. The claim could not do so,
   * because it encrypts the task before it knows the session. Changes nothing if the session has ended and so has no task any
   * more.
   */
  async #bind(row: Pick<Session, "id" | "tenant" | "tokenKey">, text: string, taskId: string): Promise<void> {
    const task = await this.cipher.decrypt({ ...row, taskId }, text);
    await this.database
      .updateTable("sessions")
      .set({ task: this.cipher.encrypt(task, row.tokenKey, { sid: row.id }), task_id: null })
      .where("id", "=", row.id)
      .where("task_id", "=", taskId)
      .where("task", "is not", null)
      .execute();
  }
}
