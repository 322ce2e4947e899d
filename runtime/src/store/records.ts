/** Composes the classes with which a process reads and writes sessions in Postgres. */
import type { TenantsFile } from "../config/tenantsFile.ts";
import { AuditTrail } from "./auditTrail.ts";
import type { Database } from "./database.ts";
import { Grants } from "./grants.ts";
import { KeptLogs } from "./keptLogs.ts";
import { PodReports } from "./podReports.ts";
import { QueueCommands } from "./queueCommands.ts";
import { SessionCommands } from "./sessionCommands.ts";
import { SessionCounts } from "./sessionCounts.ts";
import { SessionCreation } from "./sessionCreation.ts";
import { SessionQueries } from "./sessionQueries.ts";
import type { TaskCipher } from "./taskCipher.ts";
import { Tasks } from "./tasks.ts";
import { Usage } from "./usage.ts";

export type Records = ReturnType<typeof recordsOn>;

/**
 * @param tenants the process's tenants file
 * @param onEvents called after events were appended to the audit trail. Default: nothing is called
 */
export function recordsOn(
  database: Database,
  cipher: TaskCipher,
  tenants: Pick<TenantsFile, "generation">,
  onEvents: () => void = () => {},
) {
  return {
    creation: new SessionCreation(database, cipher, tenants, onEvents),
    commands: new SessionCommands(database, tenants, onEvents),
    reports: new PodReports(database, onEvents),
    queueCommands: new QueueCommands(database, tenants, onEvents),
    queries: new SessionQueries(database),
    tasks: new Tasks(database, cipher),
    trail: new AuditTrail(database),
    counts: new SessionCounts(database),
    usage: new Usage(database),
    logs: new KeptLogs(database),
    grants: new Grants(database, onEvents),
  };
}
