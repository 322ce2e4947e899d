/** What sessions' agents are to do: the only reader of the encrypted column. */
import type { Database } from "./database.ts";
import type { Task, TaskCipher } from "./taskCipher.ts";

export class Tasks {
  constructor(
    private readonly database: Database,
    private readonly cipher: TaskCipher,
  ) {}

  /** What the session's agent is to do: nothing if nothing was said. Undefined if there is no such session. */
  async of(id: string): Promise<Task | undefined> {
    const row = await this.database.selectFrom("sessions").select("task").where("id", "=", id).executeTakeFirst();
    if (row === undefined) return undefined;
    return row.task === null ? { command: null, env: {}, secrets: {} } : this.cipher.decrypt(id, row.task);
  }
}
