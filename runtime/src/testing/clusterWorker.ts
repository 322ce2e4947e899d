/**
 * A complete worker for tests against a real cluster. Unless a test needs the real containers, the programs of the pods are
 * replaced with a shell that needs almost no resources. So the tests don't depend on the agent's image, and many sessions
 * fit on one machine.
 */
import { patience } from "@berth/testing/until.ts";
import type { KubeConfig, V1Pod } from "@kubernetes/client-node";
import { pino } from "pino";
import { type CoreApi, connectKubernetes, connectLeases, loadKubeConfig } from "../cluster/kubernetes.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import type { BerthdVolume } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import { connectBlockingRedis, connectRedis } from "../queue/redis.ts";
import { type WorkerComponents, type WorkerSurroundings, workerComponents } from "../roles/workerComponents.ts";
import { connectDatabase } from "../store/database.ts";
import { cheap, debianImage, shrink, waitForEnd } from "./shrink.ts";
import type { Stores } from "./stores.ts";

export interface ClusterWorkerOptions {
  stores: Stores;
  database: string;
  tenants: Tenant[];
  /** The namespace of the sessions and of the Lease. */
  namespace: string;
  /** The command of the agent container. Default: waits for SIGTERM. */
  agent?: string;
  /** The image of the shell. Default: Debian. */
  image?: string;
  /** Runs the pods' own programs: berthd of this image, which reaches the in-pod channel at this URL. */
  own?: { berthd: string; berthdVolume?: BerthdVolume; sessionUrl: string };
  /** Default 10. */
  maxStarting?: number;
  /** Default: 300 times `patience` (see testing/until.ts). */
  startTimeoutSeconds?: number;
  /** The connection to the cluster. Default: from KUBECONFIG. */
  kubeConfig?: KubeConfig;
  /** Default 1000. */
  sweepMs?: number;
  /** Default 2000. */
  orphanGraceMs?: number;
  /** The clock that measures `orphanGraceMs`. Default: the real clock. */
  sweepClock?: () => number;
  /** How many milliseconds the worker waits for the Kubernetes API server's answer to a call. Default 10 000. */
  kubeTimeoutMs?: number;
  /** Options of the pod watches. */
  watch?: WorkerSurroundings["watch"];
}

/**
 * Starts the worker; `stop` ends it as SIGTERM would. A test may change `tenants` and `closed` at any time. The
 * worker notices a change when `changed` is called, or at its next sweep.
 */
export async function startClusterWorker(options: ClusterWorkerOptions): Promise<{
  components: WorkerComponents;
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
  // Beside the pods of other tests, a connection may take more than the 3 seconds that a process of the platform waits.
  const database = connectDatabase(
    {
      POSTGRES_HOST: postgres.host,
      POSTGRES_PORT: postgres.port,
      POSTGRES_DATABASE: options.database,
      POSTGRES_USER: postgres.user,
      POSTGRES_TLS: false,
      POSTGRES_POOL: 10,
      postgresPassword: postgres.password,
    },
    { patient: true },
  );
  const redisConfig = {
    REDIS_HOST: redis.host,
    REDIS_PORT: redis.port,
    REDIS_TLS: false,
    redisPassword: redis.password,
  };
  const commands = connectRedis(redisConfig, logger);
  const blocking = connectBlockingRedis(redisConfig, logger);
  const kubeConfig = options.kubeConfig ?? loadKubeConfig();
  const components = workerComponents({
    config: {
      tokenKeys: TokenKeys.one("0123456789abcdef0123456789abcdef"),
      AGENT_IMAGE: options.image ?? debianImage,
      AGENT_IMAGE_HAS_BERTHD: true,
      BERTHD_IMAGE: options.own?.berthd ?? debianImage,
      BERTHD_VOLUME: options.own?.berthdVolume ?? "copy",
      SESSION_URL: options.own?.sessionUrl ?? "http://127.0.0.1:1",
      MAX_STARTING: options.maxStarting ?? 10,
      MAX_STARTING_PER_NODE: 3,
      START_TIMEOUT_SECONDS: options.startTimeoutSeconds ?? 300 * patience,
      DEAD_NODE_SECONDS: 300 * patience,
      LEASE_NAMESPACE: options.namespace,
      LOG_RETENTION_SECONDS: 600,
      SESSION_RETENTION_SECONDS: 86_400,
      EVENT_RETENTION_SECONDS: 86_400,
      DELIVERY_RETENTION_SECONDS: 86_400,
      IDEMPOTENCY_RETENTION_SECONDS: 86_400,
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
    watch: { handoverMs: 0, ...options.watch },
  });
  const { leader, planner, worker, sweep, warmRefill, watches, queue } = components;
  const running = [leader, planner, worker, sweep, warmRefill, watches];
  for (const component of running) component.onApplicationBootstrap();
  return {
    components,
    tenants,
    closed,
    changed: () => {
      for (const listener of listeners) listener();
    },
    async stop() {
      await Promise.all(running.map((component) => component.onApplicationShutdown()));
      await queue.close();
      for (const connection of [commands, blocking]) connection.disconnect();
      await database.destroy();
    },
  };
}

/** A client that changes the pods that it creates. */
function changingPods(core: CoreApi, change: (pod: V1Pod) => V1Pod): CoreApi {
  return Object.assign(Object.create(core) as CoreApi, {
    createNamespacedPod: ({ body, ...request }: { namespace: string; body: V1Pod }) =>
      core.createNamespacedPod({ ...request, body: change(body) }),
  });
}
