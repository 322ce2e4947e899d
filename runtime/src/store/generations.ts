/** The generation of the tenants file as SQL statements store it. domain/generation.ts says why generations are compared. */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";

/**
 * For the update of a session: the newer one of the generation of the process's file and the generation in the row.
 */
export const newestOf = ({ generation }: Pick<TenantsFile, "generation">) =>
  sql<number>`greatest(sessions.tenants_generation, ${generation}::float8)`;
