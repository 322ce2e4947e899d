/** What the role `api` consists of. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { type Database, pingDatabase } from "../database/database.ts";
import { isMigrated } from "../database/migrate.ts";
import { DesktopGateway } from "../desktop/gateway.ts";
import { PageController } from "../desktop/pageController.ts";
import { proxyToken, Tickets } from "../desktop/tickets.ts";
import { Health } from "../health/health.ts";
import { HealthController } from "../health/healthController.ts";
import { Metrics } from "../metrics/metrics.ts";
import { MetricsController } from "../metrics/metricsController.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { SessionStore } from "../sessions/sessionStore.ts";
import { SessionsController } from "../sessions/sessionsController.ts";
import { TaskCipher } from "../sessions/taskCipher.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { CallerGuard } from "./caller.ts";
import { PUBLIC_URL } from "./tokens.ts";

export interface Connections {
  database: Database;
  redis: Redis;
}

@Module({})
class ApiModule {}

export function apiModule(config: Config, { database, redis }: Connections, logger: Logger): DynamicModule {
  const store = new SessionStore(database, new TaskCipher(config.tokenKey));
  const queue = new SessionQueue(redis, logger);
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const tickets = new Tickets(config.tokenKey);
  const metrics = new Metrics(store, queue);
  const health = new Health({
    dependencies: [
      { name: "postgres", ping: () => pingDatabase(database) },
      { name: "redis", ping: () => redis.ping(), required: false },
    ],
    isMigrated: () => isMigrated(database),
  });
  const gateway = new DesktopGateway({
    store,
    tenants,
    tickets,
    proxyToken: (sessionId) => proxyToken(config.tokenKey, sessionId),
    metrics,
    logger,
  });
  return {
    module: ApiModule,
    controllers: [SessionsController, PageController, HealthController, MetricsController],
    providers: [
      { provide: SessionStore, useValue: store },
      { provide: SessionQueue, useValue: queue },
      { provide: TenantsFile, useValue: tenants },
      { provide: Tickets, useValue: tickets },
      { provide: Metrics, useValue: metrics },
      { provide: Health, useValue: health },
      { provide: DesktopGateway, useValue: gateway },
      { provide: PUBLIC_URL, useValue: config.PUBLIC_URL },
      CallerGuard,
    ],
  };
}
