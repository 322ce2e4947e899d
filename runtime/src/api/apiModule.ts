/** What the role `api` consists of. */
import type { IncomingMessage } from "node:http";
import proxyAddr from "@fastify/proxy-addr";
import { type DynamicModule, Module } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import type { Config } from "../config.ts";
import { type Database, pingDatabase } from "../database/database.ts";
import { isMigrated } from "../database/migrate.ts";
import { DesktopGateway } from "../desktop/gateway.ts";
import { PageController } from "../desktop/pageController.ts";
import { proxyToken, Tickets } from "../desktop/tickets.ts";
import { EventFeed } from "../events/eventFeed.ts";
import { ExecChannel } from "../exec/execChannel.ts";
import { Health } from "../health/health.ts";
import { healthModule } from "../health/healthModule.ts";
import { Metrics } from "../metrics/metrics.ts";
import { MetricsController } from "../metrics/metricsController.ts";
import { loadKubeConfig } from "../pods/kubernetes.ts";
import { PodAccess } from "../pods/podAccess.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Activity } from "../sessions/activity.ts";
import { SessionStore } from "../sessions/sessionStore.ts";
import { TaskCipher } from "../sessions/taskCipher.ts";
import { Waiting } from "../sessions/waiting.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { DeliveryStore } from "../webhooks/deliveryStore.ts";
import { Authenticator } from "./authenticator.ts";
import { CallerGuard } from "./callerGuard.ts";
import { controllers } from "./controllers.ts";
import { Oidc } from "./oidc.ts";
import { openApiDocument } from "./openApi.ts";
import { OPEN_API, OpenApiController } from "./openApiController.ts";
import { Places } from "./places.ts";
import { RateLimit } from "./rateLimit.ts";
import { Revocations } from "./revocations.ts";
import { Streams } from "./streams.ts";
import { AGENT_IMAGE, BACKLOG_LIMIT, PUBLIC_URL } from "./tokens.ts";
import { WebSockets } from "./webSockets.ts";

export interface Connections {
  database: Database;
  redis: Redis;
}

@Module({})
class ApiModule {}

export interface ApiOptions {
  /** How long a store may take before an answer does without it, in milliseconds. Default: each part's own. */
  patienceMs?: number;
}

export function apiModule(
  config: Config,
  { database, redis }: Connections,
  logger: Logger,
  { patienceMs }: ApiOptions = {},
): DynamicModule {
  const store = new SessionStore(database, new TaskCipher(config.tokenKey));
  const queue = new SessionQueue(redis, logger, patienceMs);
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const tickets = new Tickets(config.tokenKey);
  const metrics = new Metrics(store, queue, undefined, patienceMs);
  const health = new Health({
    dependencies: [
      { name: "postgres", ping: () => pingDatabase(database) },
      { name: "redis", ping: () => redis.ping(), required: false },
    ],
    isMigrated: () => isMigrated(database),
  });
  const rateLimit = new RateLimit(redis, config.RATE_LIMIT_PER_MINUTE, logger, patienceMs);
  const authenticator = new Authenticator(tenants, tickets, oidcOf(config, logger), rateLimit);
  const activity = new Activity(store, logger);
  const feed = new EventFeed(store, logger);
  const revocations = new Revocations(tenants);
  const places = new Places(redis, logger, patienceMs);
  const streams = new Streams(revocations);
  const pods = new PodAccess(loadKubeConfig());
  const parts = { store, tenants, authenticator, rateLimit, activity, logger };
  const trusted = proxyAddr.compile(config.TRUSTED_PROXIES);
  const webSockets = new WebSockets({
    channels: [
      new DesktopGateway({
        ...parts,
        proxyToken: (sessionId) => proxyToken(config.tokenKey, sessionId),
        metrics,
      }),
      new ExecChannel({ ...parts, pods }),
    ],
    addressOf: (request: IncomingMessage) => proxyAddr(request, trusted),
    places,
    revocations,
    logger,
  });
  return {
    module: ApiModule,
    imports: [healthModule(health)],
    controllers: [...controllers, OpenApiController, PageController, MetricsController],
    providers: [
      { provide: SessionStore, useValue: store },
      { provide: SessionQueue, useValue: queue },
      { provide: TenantsFile, useValue: tenants },
      { provide: Tickets, useValue: tickets },
      { provide: Metrics, useValue: metrics },
      { provide: Authenticator, useValue: authenticator },
      { provide: RateLimit, useValue: rateLimit },
      { provide: Activity, useValue: activity },
      { provide: EventFeed, useValue: feed },
      { provide: Streams, useValue: streams },
      { provide: Waiting, useValue: new Waiting(store, feed, streams) },
      { provide: PodAccess, useValue: pods },
      { provide: DeliveryStore, useValue: new DeliveryStore(database) },
      { provide: WebSockets, useValue: webSockets },
      { provide: Places, useValue: places },
      { provide: Revocations, useValue: revocations },
      { provide: PUBLIC_URL, useValue: config.PUBLIC_URL },
      { provide: AGENT_IMAGE, useValue: config.AGENT_IMAGE },
      { provide: BACKLOG_LIMIT, useValue: config.BACKLOG_LIMIT },
      { provide: OPEN_API, useValue: openApiDocument(controllers) },
      CallerGuard,
    ],
  };
}

function oidcOf({ OIDC_ISSUER, OIDC_AUDIENCE, OIDC_TENANT_CLAIM }: Config, logger: Logger): Oidc | undefined {
  if (OIDC_ISSUER === undefined || OIDC_AUDIENCE === undefined) return undefined;
  return new Oidc({ issuer: OIDC_ISSUER, audience: OIDC_AUDIENCE, tenantClaim: OIDC_TENANT_CLAIM, logger });
}
