/** Composes the components that the API and the gateway share: stores, access control, health and metrics. */
import type { DynamicModule, Provider, Type } from "@nestjs/common";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { Access } from "../api/access/access.ts";
import { Authenticator } from "../api/access/authenticator.ts";
import { CallerGuard } from "../api/access/callerGuard.ts";
import { FileLinks } from "../api/access/fileLinks.ts";
import { Oidc } from "../api/access/oidc.ts";
import { Peers } from "../api/access/peers.ts";
import { RateLimit } from "../api/access/rateLimit.ts";
import { Revocations } from "../api/access/revocations.ts";
import { Tickets } from "../api/access/tickets.ts";
import { EventFeed } from "../api/eventFeed.ts";
import { Streams } from "../api/http/streams.ts";
import { MetricsController } from "../api/metricsController.ts";
import { Reads } from "../api/reads.ts";
import { PUBLIC_URL } from "../api/tokens.ts";
import type { Config } from "../config/config.ts";
import { TenantsFile } from "../config/tenantsFile.ts";
import { Bell } from "../queue/bell.ts";
import { Claims } from "../queue/claims.ts";
import { addJobMetrics } from "../queue/jobMetrics.ts";
import { OpenConnections } from "../queue/openConnections.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Activity } from "../store/activity.ts";
import { AuditTrail } from "../store/auditTrail.ts";
import { type Database, pingDatabase } from "../store/database.ts";
import { Grants } from "../store/grants.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { isMigrated } from "../store/migrate.ts";
import { PodReports } from "../store/podReports.ts";
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

export interface PlaneOptions {
  /**
   * How many milliseconds a component of the process (for example the rate limit or a metric) waits for Redis or Postgres.
   * After that, the component goes on without the answer or reports a failure. Default: each component has its own limit.
   */
  patienceMs?: number;
  /** Port of berthd in the pods. Default: the port in podServices.ts. */
  podPort?: number | undefined;
}

/** The controllers and providers of one plane: the control plane or the data plane. A process can have both planes. */
export interface Plane {
  controllers: Type[];
  providers: Provider[];
}

export type CoreComponents = ReturnType<typeof coreComponents>;

export function coreComponents(
  config: Config,
  { database, redis }: Connections,
  logger: Logger,
  { patienceMs }: PlaneOptions = {},
) {
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const bell = new Bell(redis, "events");
  const records = recordsOn(database, new TaskCipher(config.tokenKeys), tenants, () => bell.ring());
  const queue = new SessionQueue(redis, logger, patienceMs);
  const tickets = new Tickets(config.tokenKeys);
  const links = new FileLinks(config.tokenKeys);
  const metrics = new Metrics(patienceMs);
  addJobMetrics(metrics, queue);
  const rateLimit = new RateLimit(redis, config.RATE_LIMIT_PER_MINUTE, logger, patienceMs);
  const { grants } = records;
  const oidc = oidcOf(config, logger);
  const access = new Access(new Authenticator(tenants, tickets, oidc, rateLimit, links, grants), rateLimit);
  const revocations = new Revocations(tenants, { grants, logger });
  const openConnections = new OpenConnections(redis, logger, patienceMs);
  return {
    config,
    database,
    redis,
    logger,
    tenants,
    records,
    queue,
    planningBell: new Bell(redis, "planning"),
    claims: new Claims(redis, logger),
    tickets,
    links,
    metrics,
    access,
    reads: new Reads(records.commands),
    activity: new Activity(records.commands, logger),
    feed: new EventFeed({ trail: records.trail, bell, logger }),
    revocations,
    openConnections,
    streams: new Streams(revocations, openConnections),
    peers: new Peers(config.tokenKeys, config.TRUSTED_PROXIES),
    health: new Health({
      dependencies: [
        { name: "postgres", ping: () => pingDatabase(database) },
        { name: "redis", ping: () => redis.ping(), required: false },
      ],
      isMigrated: () => isMigrated(database),
    }),
  };
}

/** The module of a process that serves the given planes. */
export function composed(module: Type, core: CoreComponents, planes: Plane[]): DynamicModule {
  const { records } = core;
  return {
    module,
    imports: [healthModule(core.health)],
    controllers: [...planes.flatMap(({ controllers }) => controllers), MetricsController],
    providers: [
      { provide: SessionCreation, useValue: records.creation },
      { provide: SessionCommands, useValue: records.commands },
      { provide: SessionQueries, useValue: records.queries },
      { provide: SessionCounts, useValue: records.counts },
      { provide: AuditTrail, useValue: records.trail },
      { provide: Usage, useValue: records.usage },
      { provide: KeptLogs, useValue: records.logs },
      { provide: Tasks, useValue: records.tasks },
      { provide: PodReports, useValue: records.reports },
      { provide: SessionQueue, useValue: core.queue },
      { provide: Claims, useValue: core.claims },
      { provide: TenantsFile, useValue: core.tenants },
      { provide: Tickets, useValue: core.tickets },
      { provide: FileLinks, useValue: core.links },
      { provide: Metrics, useValue: core.metrics },
      { provide: Access, useValue: core.access },
      { provide: Reads, useValue: core.reads },
      { provide: Activity, useValue: core.activity },
      { provide: EventFeed, useValue: core.feed },
      { provide: Streams, useValue: core.streams },
      { provide: Revocations, useValue: core.revocations },
      { provide: OpenConnections, useValue: core.openConnections },
      { provide: Grants, useValue: records.grants },
      { provide: Peers, useValue: core.peers },
      { provide: PUBLIC_URL, useValue: core.config.PUBLIC_URL },
      CallerGuard,
      ...planes.flatMap(({ providers }) => providers),
    ],
  };
}

function oidcOf({ OIDC_ISSUER, OIDC_AUDIENCE, OIDC_TENANT_CLAIM }: Config, logger: Logger): Oidc | undefined {
  if (OIDC_ISSUER === undefined || OIDC_AUDIENCE === undefined) return undefined;
  return new Oidc({ issuer: OIDC_ISSUER, audience: OIDC_AUDIENCE, tenantClaim: OIDC_TENANT_CLAIM, logger });
}
