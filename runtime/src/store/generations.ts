/** The generation of the tenants file, as statements store it; what it is compared for, domain/generation.ts tells. */
import { sql } from "kysely";
import type { TenantsFile } from "../config/tenantsFile.ts";

/** For the update of a session: the newer one of the process's file and of those by which the session was changed before. */
export const newestOf = ({ generation }: Pick<TenantsFile, "generation">) =>
  sql<number>`greatest(sessions.tenants_generation, ${generation}::float8)`;
