/**
 * The simplest possible server for GET /v1/sessions/:id: a bare Fastify route with the same query. http.bench.ts runs it.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fastify } from "fastify";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";

const { env } = process;
const pool = new pg.Pool({
  host: env.POSTGRES_HOST,
  port: Number(env.POSTGRES_PORT),
  user: env.POSTGRES_USER,
  database: env.POSTGRES_DATABASE,
  password: readFileSync(join(env.SECRETS_DIR ?? "", "postgres-password"), "utf8"),
  max: 10,
});
const database = new Kysely<{ sessions: { id: string; tenant: string } }>({ dialect: new PostgresDialect({ pool }) });
const server = fastify();
server.get<{ Params: { id: string } }>("/v1/sessions/:id", async (request, reply) => {
  const row = await database
    .selectFrom("sessions")
    .selectAll()
    .where("id", "=", request.params.id)
    .where("tenant", "=", "bench")
    .executeTakeFirst();
  return row ?? reply.status(404).send();
});
await server.listen({ port: Number(env.HTTP_PORT), host: "0.0.0.0" });
