/** What sessions' agents are to do: the only reader of the encrypted column. */
import type { Database } from "./database.ts";
import type { Task, TaskCipher } from "./taskCipher.ts";

export class Tasks {
  constructor(
    private readonly database: Database,
    private readonly cipher: TaskCipher,
  ) {}

  /**
   * What the session's agent is to do: nothing if nothing was said. Undefined if there is no such session, `"taken"` if its pod
   * has said that it has the task.
   */
  async of(id: string): Promise<Task | "taken" | undefined> {
    const row = await this.database
      .selectFrom("sessions")
      .select(["task", "task_taken as taken"])
      .where("id", "=", id)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    if (row.taken) return "taken";
    return row.task === null ? { command: null, env: {}, secrets: {} } : this.cipher.decrypt(id, row.task);
  }

  /** The session's pod has the task: nobody gets it again until the session gets another pod. Harmless if repeated. */
  async taken(id: string): Promise<void> {
    await this.database
      .updateTable("sessions")
      .set({ task_taken: true })
      .where("id", "=", id)
      .where("warm", "is", null)
      .execute();
  }
}
