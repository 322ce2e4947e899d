/** What a worker consists of, put together. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { tokensOf } from "../channel/token.ts";
import type { CoreApi, LeaseApi, OnAnswer } from "../cluster/kubernetes.ts";
import { logTail } from "../cluster/logTail.ts";
import { PodAccess } from "../cluster/podAccess.ts";
import type { PodWatchOptions } from "../cluster/podWatch.ts";
import { listSessionObjects } from "../cluster/sessionListing.ts";
import { SessionObjects } from "../cluster/sessionObjects.ts";
import { type Config, podImages } from "../config/config.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { addJobFigures } from "../queue/figures.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import type { Database } from "../store/database.ts";
import { addSessionFigures } from "../store/figures.ts";
import { countOfOthers, unfinishedOf } from "../store/ofTenants.ts";
import { recordsOn } from "../store/records.ts";
import { rowsSince, sweptRows } from "../store/sweptRows.ts";
import { TaskCipher } from "../store/taskCipher.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Admission } from "../worker/admission.ts";
import { addWorkerFigures } from "../worker/figures.ts";
import { Leader } from "../worker/leader.ts";
import { PodWatches } from "../worker/podWatches.ts";
import { Reconciler, type ReconcilerOptions } from "../worker/reconciler.ts";
import { SessionWorker } from "../worker/sessionWorker.ts";
import { Sweep } from "../worker/sweep.ts";
import { WarmPools } from "../worker/warmPools.ts";

export interface WorkerSurroundings {
  config: Pick<
    Config,
    | "tokenKeys"
    | "AGENT_IMAGE"
    | "AGENT_IMAGE_HAS_BERTHD"
    | "BERTHD_IMAGE"
    | "SESSION_URL"
    | "MAX_STARTING"
    | "START_TIMEOUT_SECONDS"
    | "LEASE_NAMESPACE"
    | "LOG_RETENTION_SECONDS"
  >;
  database: Database;
  redis: Redis;
  /** For the queue's blocking calls. */
  blockingRedis: Redis;
  kubeConfig: KubeConfig;
  /** How the API server is reached; each is told whom to tell of every call. */
  connect: { core: (onAnswer: OnAnswer) => CoreApi; leases: (onAnswer: OnAnswer) => LeaseApi };
  tenants: Pick<
    TenantsFile,
    "get" | "generation" | "isClosed" | "all" | "names" | "ending" | "namespaces" | "onChange"
  >;
  logger: Logger;
  /** Milliseconds between two sweeps. Default 15 000. */
  sweepMs?: number;
  /** Milliseconds for which objects without a row are let be. Default 5 minutes. */
  orphanGraceMs?: number;
  /** Milliseconds by a clock that never goes back, by which that time is measured. Default: performance.now. */
  sweepClock?: () => number;
  /** How the pods are watched. */
  watch?: Pick<PodWatchOptions, "backoffLimitMs">;
}

export type WorkerParts = ReturnType<typeof workerParts>;

export function workerParts(surroundings: WorkerSurroundings) {
  const { config, database, redis, blockingRedis, kubeConfig, connect, tenants, logger } = surroundings;
  const records = recordsOn(database, new TaskCipher(config.tokenKeys), tenants);
  const { creation, commands, queries } = records;
  const queue = new SessionQueue(redis, logger);
  const metrics = new Metrics();
  addSessionFigures(metrics, records.counts, config.START_TIMEOUT_SECONDS);
  addJobFigures(metrics, queue);
  const onAnswer: OnAnswer = (verb, code) => metrics.kubernetesRequests.inc({ verb, code });
  const core = connect.core(onAnswer);
  const objects = new SessionObjects(core, {
    images: podImages(config),
    sessionUrl: config.SESSION_URL,
    tokens: (session) => tokensOf(config.tokenKeys, session),
  });
  const admission = new Admission({
    database,
    commands,
    tenants,
    maxStarting: config.MAX_STARTING,
    onChange: (id) => queue.look(id),
    logger,
  });
  tenants.onChange(() => admission.kick());
  // At once, and by every worker: another one may not have read the file when it looks.
  tenants.onChange(() => {
    unfinishedOf(database, tenants.ending()).then(
      (ids) => ids.forEach((id) => void queue.look(id)),
      (error: unknown) => logger.warn({ err: error }, "what the tenants file ends waits for the sweep"),
    );
  });
  const limits = { startTimeoutSeconds: config.START_TIMEOUT_SECONDS };
  const pods = new PodAccess(kubeConfig);
  const logs: ReconcilerOptions["logs"] = {
    tail: (session) => logTail(pods, session, logger),
    keep: async ({ id }, log) => {
      if (config.LOG_RETENTION_SECONDS > 0) await records.logs.keep(id, log);
    },
  };
  const reconciler = new Reconciler({ queries, commands, objects, logs, admission, tenants, limits, metrics });
  const leader = new Leader({
    leases: connect.leases(onAnswer),
    namespace: config.LEASE_NAMESPACE,
    identity: `${hostname()}-${randomBytes(4).toString("hex")}`,
    logger,
  });
  const warmPools = new WarmPools({
    database,
    creation,
    queries,
    commands,
    tenants,
    images: podImages(config),
    look: (id) => queue.look(id),
  });
  const sweep = new Sweep({
    isLeader: () => leader.isLeader(),
    namespaces: () => tenants.namespaces(),
    list: (namespace) => listSessionObjects(core, namespace),
    rows: (ids) => sweptRows(database, ids, tenants.ending()),
    rowsSince: () => rowsSince(database),
    admit: async () => {
      await warmPools.refill();
      await admission.run();
    },
    look: (id) => queue.add(id),
    removeOrphan: async (place) => objects.remove(place, await objects.observe(place)),
    logger,
    ...(surroundings.sweepMs !== undefined && { intervalMs: surroundings.sweepMs }),
    ...(surroundings.orphanGraceMs !== undefined && { orphanGraceMs: surroundings.orphanGraceMs }),
    ...(surroundings.sweepClock && { clock: surroundings.sweepClock }),
  });
  addWorkerFigures(metrics, {
    isLeader: () => leader.isLeader(),
    orphans: () => sweep.findings(),
    secondsSinceSweep: () => sweep.secondsSinceTurn(),
    withoutTenant: async () => (leader.isLeader() ? countOfOthers(database, tenants.names()) : undefined),
  });
  const worker = new SessionWorker(blockingRedis, queue, reconciler, metrics, logger);
  const watches = new PodWatches(kubeConfig, core, tenants, queue, reconciler, metrics, logger, surroundings.watch);
  return { records, queue, metrics, objects, admission, reconciler, leader, sweep, worker, watches };
}
