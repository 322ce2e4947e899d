/** The generation of the tenants file as SQL statements store it. domain/generation.ts says what it is compared for. */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";

/**
 * For the update of a session: the newer of two generations, that of the process's file and the one stored in the row.
 */
export const newestOf = ({ generation }: Pick<TenantsFile, "generation">) =>
  sql<number>`greatest(sessions.tenants_generation, ${generation}::float8)`;
