/** The generation of the tenants file as SQL statements store it. domain/generation.ts says why generations are compared. */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";

/**
 * An SQL expression for the update of a session. Its value is the newer of two generations: that of the process's tenants
 * file, and that in the row.
 */
export const newestOf = ({ generation }: Pick<TenantsFile, "generation">) =>
  sql<number>`greatest(sessions.tenants_generation, ${generation}::float8)`;
