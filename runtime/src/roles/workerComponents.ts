/** Composes the components of the role `worker`. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { KubeConfig } from "@kubernetes/client-node";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { tokensOf } from "../channel/token.ts";
import type { CoreApi, LeaseApi, OnAnswer } from "../cluster/kubernetes.ts";
import { logTail } from "../cluster/logTail.ts";
import { type MissingImage, pullersOf, readPullers } from "../cluster/missingImages.ts";
import { PodAccess } from "../cluster/podAccess.ts";
import { listVolumeClaimsAndSecrets } from "../cluster/sessionListing.ts";
import { SessionObjects } from "../cluster/sessionObjects.ts";
import { type Config, podImages } from "../config/config.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { quickSeconds } from "../domain/quota/startLimits.ts";
import { Bell } from "../queue/bell.ts";
import { Claims } from "../queue/claims.ts";
import { addJobMetrics } from "../queue/jobMetrics.ts";
import { Overloads } from "../queue/overloads.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import type { Database } from "../store/database.ts";
import { History } from "../store/history.ts";
import { countOfOthers, unfinishedOf } from "../store/ofTenants.ts";
import { recordsOn } from "../store/records.ts";
import { addSessionCountMetrics } from "../store/sessionCountMetrics.ts";
import { rowsSince, sweptRows } from "../store/sweptRows.ts";
import { TaskCipher } from "../store/taskCipher.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Recent } from "../timing/recent.ts";
import { HistoryExpiry, type HistoryLimits } from "../worker/historyExpiry.ts";
import { Leader } from "../worker/leader.ts";
import { Planner } from "../worker/planner.ts";
import { PodWatches, type PodWatchesOptions } from "../worker/podWatches.ts";
import { Reconciler, type ReconcilerOptions } from "../worker/reconciler.ts";
import { SessionWorker } from "../worker/sessionWorker.ts";
import { StartLimit } from "../worker/startLimit.ts";
import { Sweep } from "../worker/sweep.ts";
import { WarmPools } from "../worker/warmPools.ts";
import { WarmRefill } from "../worker/warmRefill.ts";
import { addWorkerMetrics } from "../worker/workerMetrics.ts";

export interface WorkerSurroundings {
  config: Pick<
    Config,
    | "tokenKeys"
    | "AGENT_IMAGE"
    | "AGENT_IMAGE_HAS_BERTHD"
    | "BERTHD_VOLUME"
    | "BERTHD_IMAGE"
    | "SESSION_URL"
    | "MAX_STARTING"
    | "MAX_STARTING_PER_NODE"
    | "START_TIMEOUT_SECONDS"
    | "DEAD_NODE_SECONDS"
    | "LEASE_NAMESPACE"
    | "LOG_RETENTION_SECONDS"
    | keyof HistoryLimits
  >;
  database: Database;
  redis: Redis;
  /** A second connection, because the queue's calls, which wait for a job, block their connection. */
  blockingRedis: Redis;
  kubeConfig: KubeConfig;
  /** Connects to the Kubernetes API server. Calls `onAnswer` after each request, also if the server does not answer. */
  connect: { core: (onAnswer: OnAnswer) => CoreApi; leases: (onAnswer: OnAnswer) => LeaseApi };
  tenants: Pick<
    TenantsFile,
    "get" | "generation" | "isClosed" | "all" | "names" | "ending" | "namespaces" | "onChange"
  >;
  logger: Logger;
  /** Milliseconds between two sweeps, and between two plannings of the warm pools. Default 15 000. */
  sweepMs?: number;
  /** How many milliseconds objects are kept after the leader first found them without a row. Default: 5 minutes. */
  orphanGraceMs?: number;
  /** A monotonic clock in milliseconds, which measures `orphanGraceMs`. Default: performance.now. */
  sweepClock?: () => number;
  watch?: PodWatchesOptions;
}

export type WorkerComponents = ReturnType<typeof workerComponents>;

export function workerComponents(surroundings: WorkerSurroundings) {
  const { config, database, redis, blockingRedis, kubeConfig, connect, tenants, logger } = surroundings;
  const bell = new Bell(redis, "events");
  const records = recordsOn(database, new TaskCipher(config.tokenKeys), tenants, () => bell.ring());
  const { creation, commands, queries } = records;
  const queue = new SessionQueue(redis, logger);
  const metrics = new Metrics();
  addJobMetrics(metrics, queue);
  let nodes = 0;
  const overloads = new Overloads(redis, quickSeconds);
  const startLimit = new StartLimit({
    configured: config.MAX_STARTING,
    perNode: config.MAX_STARTING_PER_NODE,
    // A planning does not wait for the Kubernetes API server, so it uses the nodes of the latest answer.
    nodes: () => {
      void pulled.get("");
      return nodes;
    },
    overloaded: () => overloads.count(),
  });
  const onAnswer: OnAnswer = (verb, code, isOverload) => {
    metrics.kubernetesRequests.inc({ verb, code });
    if (isOverload) overloads.note();
  };
  const core = connect.core(onAnswer);
  const objects = new SessionObjects(core, {
    images: podImages(config),
    sessionUrl: config.SESSION_URL,
    tokens: (session) => tokensOf(config.tokenKeys, session),
  });
  const leader = new Leader({
    leases: connect.leases(onAnswer),
    namespace: config.LEASE_NAMESPACE,
    identity: `${hostname()}-${randomBytes(4).toString("hex")}`,
    logger,
  });
  const isLeader = () => leader.isLeader();
  const planner = new Planner({
    database,
    commands: records.queueCommands,
    tenants,
    isLeader,
    bell: new Bell(redis, "planning"),
    startLimit,
    onChange: (id) => queue.trigger(id, "soon"),
    logger,
  });
  tenants.onChange(() => planner.wake());
  // Every worker triggers the sessions of tenants whose sessions must end, because another worker may read the file later.
  tenants.onChange(() => {
    unfinishedOf(database, tenants.ending()).then(
      (ids) => ids.forEach((id) => void queue.trigger(id, "later")),
      (error: unknown) =>
        logger.warn({ err: error }, "sessions of closed tenants could not be ended now; the sweep will end them"),
    );
  });
  const limits = { startTimeoutSeconds: config.START_TIMEOUT_SECONDS, deadNodeSeconds: config.DEAD_NODE_SECONDS };
  const pods = new PodAccess(kubeConfig);
  const logs: ReconcilerOptions["logs"] = {
    tail: (session) => logTail(pods, session, logger),
    keep: async ({ id }, log) => {
      if (config.LOG_RETENTION_SECONDS > 0) await records.logs.keep(id, log);
    },
  };
  const reconciler = new Reconciler({ queries, commands, objects, logs, planner, tenants, limits, metrics, logger });
  addSessionCountMetrics(metrics, {
    counts: records.counts,
    isLeader,
    startTimeoutSeconds: config.START_TIMEOUT_SECONDS,
  });
  const history = new HistoryExpiry({
    history: new History(database),
    usage: records.usage,
    limits: config,
    isLeader,
    metrics,
    logger,
  });
  const pools = new WarmPools({
    database,
    creation,
    queries,
    commands,
    tenants,
    images: podImages(config),
    startLimit,
    trigger: (id) => queue.trigger(id),
    plan: () => planner.wake(),
  });
  const watches = new PodWatches(kubeConfig, core, tenants, queue, reconciler, metrics, logger, surroundings.watch);
  const claims = new Claims(redis, logger);
  const warmRefill = new WarmRefill({
    pools,
    isLeader,
    onClaim: (listener) => claims.listen(listener),
    logger,
    ...(surroundings.sweepMs !== undefined && { intervalMs: surroundings.sweepMs }),
  });
  tenants.onChange(() => warmRefill.wake());
  const sweep = new Sweep({
    isLeader,
    namespaces: () => tenants.namespaces(),
    pods: (namespace) => watches.pods(namespace),
    others: (namespace) => listVolumeClaimsAndSecrets(core, namespace),
    rows: (ids) => sweptRows(database, ids, tenants.ending()),
    rowsSince: () => rowsSince(database),
    trigger: (id, urgency) => queue.add(id, urgency),
    removeOrphan: async (orphan) => objects.remove(orphan, await objects.observe(orphan)),
    logger,
    ...(surroundings.sweepMs !== undefined && { intervalMs: surroundings.sweepMs }),
    ...(surroundings.orphanGraceMs !== undefined && { orphanGraceMs: surroundings.orphanGraceMs }),
    ...(surroundings.sweepClock && { clock: surroundings.sweepClock }),
  });
  // Each reading calls the Kubernetes API server for each namespace with image pullers, so an answer is reused for 30 s.
  const pulled = new Recent(async () => {
    const ready = new Set<string>();
    const missing: (MissingImage & { tenant: string })[] = [];
    const all = pullersOf(config.LEASE_NAMESPACE, tenants.all()).map(async ({ namespace, tenant }) => {
      try {
        const read = await readPullers(core, namespace);
        for (const one of read.missing) missing.push({ ...one, tenant });
        for (const node of read.nodes) ready.add(node);
      } catch (error) {
        logger.warn({ err: error, namespace }, "the missing images of a namespace can't be read");
      }
    });
    await Promise.all(all);
    nodes = ready.size;
    return missing;
  }, 30_000);
  addWorkerMetrics(metrics, {
    isLeader,
    orphans: () => sweep.findings(),
    secondsSinceSweep: () => sweep.secondsSinceLast(),
    secondsSincePlanning: () => planner.secondsSinceLast(),
    startLimit: () => ({ current: startLimit.current(), slowed: startLimit.slowed() }),
    missingImages: async () => (leader.isLeader() ? pulled.get("") : undefined),
    withoutTenant: async () => (leader.isLeader() ? countOfOthers(database, tenants.names()) : undefined),
  });
  leader.onChange((leads) => {
    watches.lead(leads);
    sweep.wake(); // waits for the first lists of the watches
    if (leads) planner.wake();
  });
  const worker = new SessionWorker(blockingRedis, queue, reconciler, metrics, logger);
  return {
    records,
    bell,
    queue,
    metrics,
    objects,
    planner,
    reconciler,
    leader,
    sweep,
    warmRefill,
    history,
    worker,
    watches,
  };
}
