/** Reads the agents' tasks. Nothing else reads the encrypted column. */
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
    await this.database
      .updateTable("sessions")
      .set({ task_taken: true })
      .where("id", "=", id)
      .where("warm", "is", null)
      .execute();
  }
}
