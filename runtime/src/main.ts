/** The runtime's one entry: `main.js <api|worker|migrate>`. */
import "reflect-metadata";
import { createServer } from "node:http";
import type { NestFastifyApplication } from "@nestjs/platform-fastify";
import pRetry from "p-retry";
import type { Logger } from "pino";
import { apiModule, type Connections } from "./api/apiModule.ts";
import { createHttp, servePage } from "./api/http.ts";
import { problemBody } from "./api/problem.ts";
import { WebSockets } from "./api/webSockets.ts";
import { createChannel } from "./channel/channel.ts";
import { type Config, ConfigError, loadConfig, loadDatabaseConfig } from "./config.ts";
import { connectDatabase, isDatabaseUnavailable } from "./database/database.ts";
import { migrate } from "./database/migrate.ts";
import { Health } from "./health/health.ts";
import { createLogger } from "./logging/logging.ts";
import { Metrics } from "./metrics/metrics.ts";
import { connectRedis } from "./queue/redis.ts";
import { SessionQueue } from "./queue/sessionQueue.ts";
import { SessionStore } from "./sessions/sessionStore.ts";
import { startTracing, tracing } from "./tracing/tracing.ts";
import { within } from "./within.ts";
import { workerModule } from "./worker/workerModule.ts";

const roles: Record<string, () => Promise<void>> = { api: runApi, worker: runWorker, migrate: runMigrations };

async function runApi(): Promise<void> {
  const { config, connections, logger } = await prepare("api");
  const app = await createHttp(apiModule(config, connections, logger), logger, config.TRUSTED_PROXIES);
  await servePage(app);
  const webSockets = app.get(WebSockets);
  const websockets = createServer((_request, response) => {
    const problem = problemBody(426, "This port takes WebSocket upgrades only.");
    response
      .writeHead(426, { "content-type": "application/problem+json", upgrade: "websocket" })
      .end(JSON.stringify(problem));
  });
  for (const server of [app.getHttpServer(), websockets]) {
    server.on(
      "upgrade",
      (...[request, socket, head]: Parameters<WebSockets["upgrade"]>) => void webSockets.upgrade(request, socket, head),
    );
  }
  await new Promise<void>((resolve, reject) => {
    websockets.once("error", reject).listen(config.WEBSOCKET_PORT, "0.0.0.0", resolve);
  });
  const channel = createChannel({
    tokenKey: config.tokenKey,
    store: app.get(SessionStore),
    queue: app.get(SessionQueue),
    metrics: app.get(Metrics),
    logger,
  });
  await channel.listen({ port: config.SESSION_PORT, host: "0.0.0.0" });
  await serve(app, config, connections, logger, () => {
    websockets.close();
    return channel.close();
  });
}

async function runWorker(): Promise<void> {
  const { config, connections, logger } = await prepare("worker");
  await serve(await createHttp(workerModule(config, connections, logger), logger), config, connections, logger);
}

async function runMigrations(): Promise<void> {
  const config = loadDatabaseConfig(process.env);
  const logger = createLogger(config.LOG_LEVEL, "migrate");
  const database = connectDatabase(config);
  try {
    // Right after an installation Postgres may still be starting.
    const done = await pRetry(() => migrate(database), {
      retries: 30,
      minTimeout: 1_000,
      factor: 1,
      shouldRetry: ({ error }) => isDatabaseUnavailable(error),
      onFailedAttempt: ({ error }) => logger.warn({ err: error }, "migrations did not run"),
    });
    logger.info({ migrations: done }, done.length > 0 ? "migrations ran" : "the database is up to date");
  } finally {
    await database.destroy();
  }
}

async function prepare(role: string): Promise<{ config: Config; connections: Connections; logger: Logger }> {
  const config = loadConfig(process.env);
  await startTracing(config.OTEL_EXPORTER_OTLP_ENDPOINT, role);
  const logger = createLogger(config.LOG_LEVEL, role);
  return { config, logger, connections: { database: connectDatabase(config), redis: connectRedis(config, logger) } };
}

/**
 * Listens until SIGTERM or SIGINT, then ends in this order: not ready any more; desktops are told to connect again; no new
 * request or job, those that run are finished; connections closed; exit 0. All of it takes 25 s at most.
 */
async function serve(
  app: NestFastifyApplication,
  config: Config,
  { database, redis }: Connections,
  logger: Logger,
  drain: () => Promise<unknown> = async () => {},
): Promise<void> {
  await app.listen(config.HTTP_PORT, "0.0.0.0");
  logger.info({ port: config.HTTP_PORT }, "listening");
  let ending = false;
  const end = async (signal: string): Promise<void> => {
    if (ending) return;
    ending = true;
    logger.info({ signal }, "shutting down");
    app.get(Health).drain();
    try {
      await within(25_000, Promise.all([drain(), app.close()]));
      await within(2_000, database.destroy()).catch(() => {});
      redis.disconnect();
    } catch (error) {
      logger.error({ err: error }, "shutdown was cut short");
    }
    logger.info("bye");
    process.exit(0);
  };
  process.on("SIGTERM", (signal) => void end(signal));
  process.on("SIGINT", (signal) => void end(signal));
}

const run = roles[process.argv[2] ?? ""];
if (run === undefined || process.argv.length > 3) {
  console.error(`usage: main.js ${Object.keys(roles).join("|")}`);
  process.exit(1);
}
try {
  await run();
} catch (error) {
  // A wrong configuration is for the one who set it: a line per fault, no stack.
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
