/** What the role `api` consists of. */
import type { IncomingMessage } from "node:http";
import proxyAddr from "@fastify/proxy-addr";
import { type DynamicModule, Module } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { Access } from "../api/access/access.ts";
import { Authenticator } from "../api/access/authenticator.ts";
import { CallerGuard } from "../api/access/callerGuard.ts";
import { FileLinks } from "../api/access/fileLinks.ts";
import { Oidc } from "../api/access/oidc.ts";
import { PortTokens } from "../api/access/portTokens.ts";
import { RateLimit } from "../api/access/rateLimit.ts";
import { Revocations } from "../api/access/revocations.ts";
import { Tickets } from "../api/access/tickets.ts";
import { controllers } from "../api/controllers.ts";
import { EventFeed } from "../api/eventFeed.ts";
import { Streams } from "../api/http/streams.ts";
import { MetricsController } from "../api/metricsController.ts";
import { openApiDocument } from "../api/openApi.ts";
import { OPEN_API, OpenApiController } from "../api/openApiController.ts";
import { PageController } from "../api/pageController.ts";
import { SessionPods } from "../api/sessionPods.ts";
import { BACKLOG_LIMIT, POD_IMAGES, PUBLIC_URL, SANDBOX_URL } from "../api/tokens.ts";
import { WaitForRunning } from "../api/waitForRunning.ts";
import { tokensOf } from "../channel/token.ts";
import { loadKubeConfig } from "../cluster/kubernetes.ts";
import { PodAccess } from "../cluster/podAccess.ts";
import { type Config, podImages } from "../config/config.ts";
import { TenantsFile } from "../config/tenantsFile.ts";
import { SandboxUrl } from "../domain/sandboxUrl.ts";
import { DesktopGateway } from "../gateway/desktopGateway.ts";
import { ExecGateway } from "../gateway/execGateway.ts";
import { Places } from "../gateway/places.ts";
import { PortGateway } from "../gateway/ports/portGateway.ts";
import { portGateway } from "../gateway/ports/ports.ts";
import { ProcessGateway } from "../gateway/processGateway.ts";
import { WebSockets } from "../gateway/webSockets.ts";
import { PodServices } from "../pod/podServices.ts";
import { Claims } from "../queue/claims.ts";
import { addJobFigures } from "../queue/figures.ts";
import { OpenConnections } from "../queue/openConnections.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Activity } from "../store/activity.ts";
import { AuditTrail } from "../store/auditTrail.ts";
import { type Database, pingDatabase } from "../store/database.ts";
import { DeliveryStore } from "../store/deliveryStore.ts";
import { addSessionFigures } from "../store/figures.ts";
import { Grants } from "../store/grants.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { isMigrated } from "../store/migrate.ts";
import { recordsOn } from "../store/records.ts";
import { SessionCommands } from "../store/sessionCommands.ts";
import { SessionCounts } from "../store/sessionCounts.ts";
import { SessionCreation } from "../store/sessionCreation.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { TaskCipher } from "../store/taskCipher.ts";
import { Tasks } from "../store/tasks.ts";
import { Usage } from "../store/usage.ts";
import { Health } from "../telemetry/health.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { healthModule } from "./healthModule.ts";

export interface Connections {
  database: Database;
  redis: Redis;
}

@Module({})
class ApiModule {}

export interface ApiOptions {
  /** How long a store may take before an answer does without it, in milliseconds. Default: each part's own. */
  patienceMs?: number;
  /** Port of berthd's services in the pods. Default: its own. */
  podPort?: number | undefined;
}

export function apiModule(
  config: Config,
  { database, redis }: Connections,
  logger: Logger,
  { patienceMs, podPort }: ApiOptions = {},
): DynamicModule {
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const records = recordsOn(database, new TaskCipher(config.tokenKeys), tenants);
  const { commands, queries, trail } = records;
  const queue = new SessionQueue(redis, logger, patienceMs);
  const claims = new Claims(redis, logger);
  const tickets = new Tickets(config.tokenKeys);
  const links = new FileLinks(config.tokenKeys);
  const metrics = new Metrics(patienceMs);
  addSessionFigures(metrics, records.counts);
  addJobFigures(metrics, queue);
  const health = new Health({
    dependencies: [
      { name: "postgres", ping: () => pingDatabase(database) },
      { name: "redis", ping: () => redis.ping(), required: false },
    ],
    isMigrated: () => isMigrated(database),
  });
  const rateLimit = new RateLimit(redis, config.RATE_LIMIT_PER_MINUTE, logger, patienceMs);
  const { grants } = records;
  const oidc = oidcOf(config, logger);
  const access = new Access(new Authenticator(tenants, tickets, oidc, rateLimit, links, grants), rateLimit);
  const activity = new Activity(commands, logger);
  const feed = new EventFeed(trail, logger);
  const revocations = new Revocations(tenants, { grants, logger });
  const connections = new OpenConnections(redis, logger);
  const places = new Places(redis, logger, patienceMs);
  const streams = new Streams(revocations, connections);
  const pods = new PodAccess(loadKubeConfig());
  const services = new PodServices({ token: (session) => tokensOf(config.tokenKeys, session)?.session, port: podPort });
  const sessionPods = new SessionPods(queries, commands, services);
  const parts = { queries, access, activity, logger };
  const trusted = proxyAddr.compile(config.TRUSTED_PROXIES);
  const addressOf = (request: IncomingMessage) => proxyAddr(request, trusted);
  const portTokens = new PortTokens(config.tokenKeys);
  const url = config.SANDBOX_URL === undefined ? null : new SandboxUrl(config.SANDBOX_URL);
  const ported = { ...parts, tokens: portTokens, redis, pods: sessionPods, revocations, places, metrics, addressOf };
  const ports = url && portGateway({ ...ported, url });
  const webSockets = new WebSockets({
    gateways: [
      new DesktopGateway({
        ...parts,
        commands,
        proxyToken: (session) => tokensOf(config.tokenKeys, session)?.proxy,
        metrics,
      }),
      new ProcessGateway({ access, pods: sessionPods, logger }),
      new ExecGateway({ access, tenants, pods: sessionPods, logger }),
    ],
    addressOf,
    places,
    revocations,
    connections,
    logger,
  });
  return {
    module: ApiModule,
    imports: [healthModule(health)],
    controllers: [...controllers, OpenApiController, PageController, MetricsController],
    providers: [
      { provide: SessionCreation, useValue: records.creation },
      { provide: SessionCommands, useValue: commands },
      { provide: SessionQueries, useValue: queries },
      { provide: SessionCounts, useValue: records.counts },
      { provide: AuditTrail, useValue: trail },
      { provide: Usage, useValue: records.usage },
      { provide: KeptLogs, useValue: records.logs },
      { provide: Tasks, useValue: records.tasks },
      { provide: SessionQueue, useValue: queue },
      { provide: Claims, useValue: claims },
      { provide: TenantsFile, useValue: tenants },
      { provide: Tickets, useValue: tickets },
      { provide: FileLinks, useValue: links },
      { provide: Metrics, useValue: metrics },
      { provide: Access, useValue: access },
      { provide: Activity, useValue: activity },
      { provide: EventFeed, useValue: feed },
      { provide: Streams, useValue: streams },
      { provide: WaitForRunning, useValue: new WaitForRunning(queries, feed, streams) },
      { provide: PodAccess, useValue: pods },
      { provide: PodServices, useValue: services },
      { provide: SessionPods, useValue: sessionPods },
      { provide: DeliveryStore, useValue: new DeliveryStore(database) },
      { provide: WebSockets, useValue: webSockets },
      { provide: Places, useValue: places },
      { provide: Revocations, useValue: revocations },
      { provide: OpenConnections, useValue: connections },
      { provide: Grants, useValue: grants },
      { provide: PUBLIC_URL, useValue: config.PUBLIC_URL },
      { provide: SANDBOX_URL, useValue: url },
      { provide: PortTokens, useValue: portTokens },
      { provide: PortGateway, useValue: ports },
      { provide: POD_IMAGES, useValue: podImages(config) },
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
