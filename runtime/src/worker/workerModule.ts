/** What the role `worker` consists of. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import type { Connections } from "../api/apiModule.ts";
import type { Config } from "../config.ts";
import { pingDatabase } from "../database/database.ts";
import { isMigrated } from "../database/migrate.ts";
import { proxyToken } from "../desktop/tickets.ts";
import { Health } from "../health/health.ts";
import { healthModule } from "../health/healthModule.ts";
import { addBackupMetrics } from "../metrics/backups.ts";
import { Metrics } from "../metrics/metrics.ts";
import { MetricsController } from "../metrics/metricsController.ts";
import { connectKubernetes, loadKubeConfig } from "../pods/kubernetes.ts";
import { SessionObjects } from "../pods/sessionObjects.ts";
import { connectBlockingRedis } from "../queue/redis.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Reconciler } from "../sessions/reconciler.ts";
import { SessionStore } from "../sessions/sessionStore.ts";
import { TaskCipher } from "../sessions/taskCipher.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { DeliveryStore } from "../webhooks/deliveryStore.ts";
import { WebhookSender } from "../webhooks/webhookSender.ts";
import { PodWatches } from "./podWatches.ts";
import { SessionWorker } from "./sessionWorker.ts";
import { Sweep } from "./sweep.ts";

@Module({})
class WorkerModule {}

export function workerModule(config: Config, { database, redis }: Connections, logger: Logger): DynamicModule {
  const store = new SessionStore(database, new TaskCipher(config.tokenKey));
  const queue = new SessionQueue(redis, logger);
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const metrics = new Metrics(store, queue);
  addBackupMetrics(metrics.registry, database);

  const kubeConfig = loadKubeConfig();
  const core = connectKubernetes(kubeConfig);
  const objects = new SessionObjects(core, {
    agentImage: config.AGENT_IMAGE,
    proxyToken: (sessionId) => proxyToken(config.tokenKey, sessionId),
  });
  const reconciler = new Reconciler({
    store,
    objects,
    tenant: (name) => tenants.get(name),
    limits: { startTimeoutSeconds: config.START_TIMEOUT_SECONDS },
  });

  const worker = new SessionWorker(connectBlockingRedis(config, logger), queue, reconciler, metrics, logger);
  const sweep = new Sweep(store, queue, logger);
  const watches = new PodWatches(kubeConfig, core, tenants, queue, metrics, logger);
  const webhooks = new WebhookSender({
    store: new DeliveryStore(database),
    tenants,
    metrics,
    logger,
    allowPrivate: config.WEBHOOK_ALLOW_PRIVATE,
  });
  const health = new Health({
    dependencies: [
      { name: "postgres", ping: () => pingDatabase(database) },
      { name: "redis", ping: () => redis.ping() },
    ],
    isMigrated: () => isMigrated(database),
    loops: [
      { name: "queue", isTurning: () => worker.isTurning() },
      { name: "sweep", isTurning: () => sweep.isTurning() },
    ],
  });
  return {
    module: WorkerModule,
    imports: [healthModule(health)],
    controllers: [MetricsController],
    providers: [
      { provide: TenantsFile, useValue: tenants },
      { provide: Metrics, useValue: metrics },
      { provide: SessionWorker, useValue: worker },
      { provide: Sweep, useValue: sweep },
      { provide: PodWatches, useValue: watches },
      { provide: WebhookSender, useValue: webhooks },
    ],
  };
}
