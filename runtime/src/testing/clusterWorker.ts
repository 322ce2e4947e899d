/**
 * A worker for tests against a real cluster, with all that it consists of. Unless a test wants them as they are, the pods'
 * containers are replaced by a shell with next to no resources, so that the tests don't depend on the agent's image and many
 * sessions fit on one machine.
 */
import type { KubeConfig, V1Pod } from "@kubernetes/client-node";
import { pino } from "pino";
import { type CoreApi, connectKubernetes, connectLeases, loadKubeConfig } from "../cluster/kubernetes.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import type { Tenant } from "../domain/tenants.ts";
import { connectBlockingRedis, connectRedis } from "../queue/redis.ts";
import { type WorkerParts, type WorkerSurroundings, workerParts } from "../roles/workerParts.ts";
import { connectDatabase } from "../store/database.ts";
import { cheap, debianImage, shrink, waitForEnd } from "./shrink.ts";
import type { Stores } from "./stores.ts";

export interface ClusterWorkerOptions {
  stores: Stores;
  database: string;
  tenants: Tenant[];
  /** The Lease is here too. */
  namespace: string;
  /** What the agent container runs. Default: waits for its end. */
  agent?: string;
  /** Default: Debian. */
  image?: string;
  /** The pods run their own programs: berthd of this image, which finds the in-pod channel at the address. */
  own?: { berthd: string; sessionUrl: string };
  /** Default 10. */
  maxStarting?: number;
  /** Default 300. */
  startTimeoutSeconds?: number;
  /** How the cluster is reached. Default: as KUBECONFIG says. */
  kubeConfig?: KubeConfig;
  /** Default 1000. */
  sweepMs?: number;
  /** Default 2000. */
  orphanGraceMs?: number;
  /** The clock by which the sweep measures that time. Default: the real one. */
  sweepClock?: () => number;
  /** How long a call of the API server may take. Default 10 000. */
  kubeTimeoutMs?: number;
  /** How the pods are watched. */
  watch?: WorkerSurroundings["watch"];
}

/**
 * Starts it; `stop` ends it as SIGTERM would. `tenants` and `closed` may be changed at any time, of which it is told by
 * `changed`, and without that by its sweep.
 */
export async function startClusterWorker(options: ClusterWorkerOptions): Promise<{
  parts: WorkerParts;
  tenants: Map<string, Tenant>;
  closed: Set<string>;
  changed: () => void;
  stop: () => Promise<void>;
}> {
  const logger = pino({ level: process.env.LOG_LEVEL ?? "silent" });
  const { postgres, redis } = options.stores;
  const tenants = new Map(options.tenants.map((tenant) => [tenant.name, tenant]));
  const closed = new Set<string>();
  const listeners: (() => void)[] = [];
  const database = connectDatabase({
    POSTGRES_HOST: postgres.host,
    POSTGRES_PORT: postgres.port,
    POSTGRES_DATABASE: options.database,
    POSTGRES_USER: postgres.user,
    POSTGRES_TLS: false,
    POSTGRES_POOL: 10,
    postgresPassword: postgres.password,
  });
  const redisConfig = {
    REDIS_HOST: redis.host,
    REDIS_PORT: redis.port,
    REDIS_TLS: false,
    redisPassword: redis.password,
  };
  const commands = connectRedis(redisConfig, logger);
  const blocking = connectBlockingRedis(redisConfig, logger);
  const kubeConfig = options.kubeConfig ?? loadKubeConfig();
  const parts = workerParts({
    config: {
      tokenKeys: TokenKeys.one("0123456789abcdef0123456789abcdef"),
      AGENT_IMAGE: options.image ?? debianImage,
      AGENT_IMAGE_HAS_BERTHD: true,
      BERTHD_IMAGE: options.own?.berthd ?? debianImage,
      SESSION_URL: options.own?.sessionUrl ?? "http://127.0.0.1:1",
      MAX_STARTING: options.maxStarting ?? 10,
      START_TIMEOUT_SECONDS: options.startTimeoutSeconds ?? 300,
      LEASE_NAMESPACE: options.namespace,
      LOG_RETENTION_SECONDS: 600,
    },
    database,
    redis: commands,
    blockingRedis: blocking,
    kubeConfig,
    connect: {
      core: (onAnswer) =>
        changingPods(connectKubernetes(kubeConfig, onAnswer, options.kubeTimeoutMs), (pod) =>
          options.own ? cheap(pod) : shrink(pod, options.agent ?? waitForEnd),
        ),
      leases: (onAnswer) => connectLeases(kubeConfig, onAnswer),
    },
    tenants: {
      get: (name) => tenants.get(name),
      generation: 0,
      isClosed: (name) => closed.has(name),
      names: () => [...tenants.keys(), ...closed],
      all: () => [...tenants.values()],
      namespaces: () => [...new Set([...tenants.values()].map(({ namespace }) => namespace))],
      ending: () => [
        ...[...tenants.values()].filter((one) => one.maxSessions === 0).map(({ name }) => name),
        ...closed,
      ],
      onChange: (listener) => listeners.push(listener),
    },
    logger,
    sweepMs: options.sweepMs ?? 1_000,
    orphanGraceMs: options.orphanGraceMs ?? 2_000,
    ...(options.sweepClock && { sweepClock: options.sweepClock }),
    ...(options.watch && { watch: options.watch }),
  });
  const { leader, worker, sweep, watches, queue } = parts;
  for (const part of [leader, worker, sweep, watches]) part.onApplicationBootstrap();
  return {
    parts,
    tenants,
    closed,
    changed: () => {
      for (const listener of listeners) listener();
    },
    async stop() {
      await Promise.all([leader, worker, sweep, watches].map((part) => part.onApplicationShutdown()));
      await queue.close();
      for (const connection of [commands, blocking]) connection.disconnect();
      await database.destroy();
    },
  };
}

/** The client, but pods that it makes are changed. */
function changingPods(core: CoreApi, change: (pod: V1Pod) => V1Pod): CoreApi {
  return Object.assign(Object.create(core) as CoreApi, {
    createNamespacedPod: ({ body, ...request }: { namespace: string; body: V1Pod }) =>
      core.createNamespacedPod({ ...request, body: change(body) }),
  });
}
