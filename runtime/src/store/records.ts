/** All that a process reads and writes of sessions in Postgres. */
import { AuditTrail } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import { KeptLogs } from "./keptLogs.ts";
import { SessionCommands } from "./sessionCommands.ts";
import { SessionCounts } from "./sessionCounts.ts";
import { SessionCreation } from "./sessionCreation.ts";
import { SessionQueries } from "./sessionQueries.ts";
import type { TaskCipher } from "./taskCipher.ts";
import { Tasks } from "./tasks.ts";
import { Usage } from "./usage.ts";

export type Records = ReturnType<typeof recordsOn>;

export function recordsOn(database: Database, cipher: TaskCipher) {
  return {
    creation: new SessionCreation(database, cipher),
    commands: new SessionCommands(database),
    queries: new SessionQueries(database),
    tasks: new Tasks(database, cipher),
    trail: new AuditTrail(database),
    counts: new SessionCounts(database),
    usage: new Usage(database),
    logs: new KeptLogs(database),
  };
}
