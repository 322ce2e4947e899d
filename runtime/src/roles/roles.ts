/** Defines what each role of the runtime consists of and how it runs. */
import "reflect-metadata";
import { once } from "node:events";
import type { NestFastifyApplication } from "@nestjs/platform-fastify";
import pRetry from "p-retry";
import type { Logger } from "pino";
import { Peers } from "../api/access/peers.ts";
import { createHttp, servePage } from "../api/http/http.ts";
import { type Config, ConfigError, loadConfig, loadDatabaseConfig, loadStoresConfig } from "../config/config.ts";
import { forwardCalls, forwardedRoute } from "../gateway/callForwarder.ts";
import { PortGateway } from "../gateway/ports/portGateway.ts";
import { UpgradeForwarder } from "../gateway/upgradeForwarder.ts";
import { WebSockets } from "../gateway/webSockets.ts";
import { connectRedis } from "../queue/redis.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { connectDatabase, isDatabaseUnavailable, pingDatabase } from "../store/database.ts";
import { isTableInUse, migrate } from "../store/migrate.ts";
import { Health } from "../telemetry/health.ts";
import { createLogger } from "../telemetry/logging.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { startTracing, tracing } from "../telemetry/tracing.ts";
import { within } from "../timing/within.ts";
import { cleanUp } from "../worker/cleanUp.ts";
import { apiModule } from "./apiModule.ts";
import type { Connections } from "./coreComponents.ts";
import { gatewayModule } from "./gatewayModule.ts";
import { lettingGo, listenForPods, listenForUpgrades, takeUpgrades, type Upgrades } from "./servers.ts";
import { endOnSignal, type ShutdownStep } from "./shutdown.ts";
import { workerModule } from "./workerModule.ts";

const roles: Record<string, () => Promise<void>> = {
  api: runApi,
  gateway: runGateway,
  worker: runWorker,
  migrate: runMigrations,
  cleanup: runCleanup,
};

async function runApi(): Promise<void> {
  const { config, connections, logger } = await prepare("api");
  const peers = new Peers(config.tokenKeys, config.TRUSTED_PROXIES);
  const app = await createHttp(apiModule(config, connections, logger), logger, { peers });
  await servePage(app);
  const upgrades = app.get<Upgrades>(config.GATEWAY_URL === undefined ? WebSockets : UpgradeForwarder);
  takeUpgrades(app.getHttpServer(), upgrades);
  const websockets = await listenForUpgrades(config.WEBSOCKET_PORT, upgrades);
  // The API listens for pods also with a separate gateway, because older pods were started with the API's address.
  const closeChannel = await listenForPods(app, config, connections.database, logger);
  const ports = config.GATEWAY_URL === undefined ? app.get<PortGateway | null>(PortGateway) : null;
  await ports?.listen(config.SANDBOX_PORT);
  await serve(app, config, connections, logger, {
    letGo: lettingGo(app, upgrades, ports, logger),
    closePorts: () => {
      websockets.close(); // the port accepts no new connection; this step does not wait for the open ones
      return Promise.all([closeChannel(), ports?.close()]);
    },
  });
}

async function runGateway(): Promise<void> {
  const { config, connections, logger } = await prepare("gateway");
  const peers = new Peers(config.tokenKeys, config.TRUSTED_PROXIES);
  const routine = [forwardedRoute];
  const app = await createHttp(gatewayModule(config, connections, logger), logger, { peers, routine });
  forwardCalls(app.getHttpAdapter().getInstance(), { target: config.API_URL, peers, logger });
  const upgrades = app.get(WebSockets);
  takeUpgrades(app.getHttpServer(), upgrades);
  const closeChannel = await listenForPods(app, config, connections.database, logger);
  const ports = app.get<PortGateway | null>(PortGateway);
  await ports?.listen(config.SANDBOX_PORT);
  await serve(app, config, connections, logger, {
    letGo: lettingGo(app, upgrades, ports, logger),
    closePorts: () => Promise.all([closeChannel(), ports?.close()]),
  });
}

async function runWorker(): Promise<void> {
  const { config, connections, logger } = await prepare("worker");
  await serve(await createHttp(workerModule(config, connections, logger), logger), config, connections, logger);
}

async function runMigrations(): Promise<void> {
  const config = loadDatabaseConfig(process.env);
  const logger = createLogger(config.LOG_LEVEL, "migrate");
  const database = connectDatabase(config, { patient: true });
  try {
    const done = await onceDatabaseAnswers(() => migrate(database), logger);
    logger.info({ migrations: done }, done.length > 0 ? "migrations ran" : "the database is up to date");
  } finally {
    await database.destroy();
  }
}

/** Marks the workspaces whose retention is over, so that the worker removes them. Also deletes old rows; see cleanUp.ts. */
async function runCleanup(): Promise<void> {
  const config = loadStoresConfig(process.env);
  const logger = createLogger(config.LOG_LEVEL, "cleanup");
  const [database, redis] = [connectDatabase(config), connectRedis(config, logger)];
  try {
    await within(5_000, once(redis, "ready")).catch(() => {});
    const queue = new SessionQueue(redis, logger);
    const limits = { logRetentionSeconds: config.LOG_RETENTION_SECONDS };
    await onceDatabaseAnswers(() => pingDatabase(database), logger);
    const workspaces = await cleanUp(database, queue, logger, limits);
    await queue.close();
    logger.info({ workspaces }, "marked the workspaces whose retention is over");
  } finally {
    redis.disconnect();
    await database.destroy();
  }
}

/**
 * Runs `work`, and repeats it each second, up to 30 times, while Postgres does not answer or a table is locked. Right after
 * an installation, Postgres may still be starting. A dump locks the tables that a migration changes.
 */
function onceDatabaseAnswers<T>(work: () => Promise<T>, logger: Logger): Promise<T> {
  return pRetry(work, {
    retries: 30,
    minTimeout: 1_000,
    factor: 1,
    shouldRetry: ({ error }) => isDatabaseUnavailable(error) || isTableInUse(error),
    onFailedAttempt: ({ error }) =>
      logger.warn({ err: error }, isTableInUse(error) ? "a table is in use" : "the database does not answer yet"),
  });
}

async function prepare(role: string): Promise<{ config: Config; connections: Connections; logger: Logger }> {
  const config = loadConfig(process.env);
  await startTracing(config.OTEL_EXPORTER_OTLP_ENDPOINT, role);
  const logger = createLogger(config.LOG_LEVEL, role);
  return { config, logger, connections: { database: connectDatabase(config), redis: connectRedis(config, logger) } };
}

/** Makes the role listen. At SIGTERM or SIGINT, the process shuts down as shutdown.ts describes. */
async function serve(
  app: NestFastifyApplication,
  config: Config,
  { database, redis }: Connections,
  logger: Logger,
  {
    letGo = [],
    closePorts = async () => {},
  }: {
    /** Steps of the role that run before anything is closed. Default: none. */
    letGo?: ShutdownStep[];
    /** Closes the role's ports besides HTTP_PORT. Default: the role has no other port. */
    closePorts?: () => Promise<unknown>;
  } = {},
): Promise<void> {
  app.get(Metrics).addProcess();
  await app.listen(config.HTTP_PORT, "0.0.0.0");
  endOnSignal(
    [
      { name: "stop being ready", run: () => app.get(Health).drain() },
      ...letGo,
      { name: "close the ports and finish requests and jobs", run: () => Promise.all([closePorts(), app.close()]) },
      { name: "send the traces", run: () => within(2_000, tracing().stop()) },
      { name: "close Postgres and Redis", run: () => database.destroy().finally(() => redis.disconnect()) },
    ],
    logger,
  );
  // Logged only after `endOnSignal`, because somebody who reads this line may send a signal at once.
  logger.info({ port: config.HTTP_PORT }, "listening");
}

/**
 * Runs the role that the arguments name. Resolves when the role is running or has finished. Ends the process on an
 * error.
 */
export async function run([role = "", ...more]: string[]): Promise<void> {
  const start = roles[role];
  if (start === undefined || more.length > 0) {
    console.error(`usage: main.js ${Object.keys(roles).join("|")}`);
    process.exit(1);
  }
  try {
    await start();
  } catch (error) {
    // The reader of a configuration error is an administrator: print one line per error and no stack.
    console.error(error instanceof ConfigError ? error.message : error);
    process.exit(1);
  }
}
