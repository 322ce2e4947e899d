/** What the role `worker` consists of. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import { Admission } from "../admission/admission.ts";
import type { Connections } from "../api/apiModule.ts";
import type { Config } from "../config.ts";
import { pingDatabase } from "../database/database.ts";
import { isMigrated } from "../database/migrate.ts";
import { Health } from "../health/health.ts";
import { healthModule } from "../health/healthModule.ts";
import { addBackupMetrics } from "../metrics/backups.ts";
import { Metrics } from "../metrics/metrics.ts";
import { MetricsController } from "../metrics/metricsController.ts";
import { connectKubernetes, connectLeases, loadKubeConfig } from "../pods/kubernetes.ts";
import { connectBlockingRedis } from "../queue/redis.ts";
import { TenantsFile } from "../tenants/tenantsFile.ts";
import { DeliveryStore } from "../webhooks/deliveryStore.ts";
import { WebhookSender } from "../webhooks/webhookSender.ts";
import { Leader } from "./leader.ts";
import { workerParts } from "./parts.ts";
import { PodWatches } from "./podWatches.ts";
import { SessionWorker } from "./sessionWorker.ts";
import { Sweep } from "./sweep.ts";

@Module({})
class WorkerModule {}

export function workerModule(config: Config, { database, redis }: Connections, logger: Logger): DynamicModule {
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const kubeConfig = loadKubeConfig();
  const { metrics, admission, leader, worker, sweep, watches } = workerParts({
    config,
    database,
    redis,
    blockingRedis: connectBlockingRedis(config, logger),
    kubeConfig,
    connect: {
      core: (onAnswer) => connectKubernetes(kubeConfig, onAnswer),
      leases: (onAnswer) => connectLeases(kubeConfig, onAnswer),
    },
    tenants,
    logger,
  });
  addBackupMetrics(metrics.registry, database);
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
      { name: "lease", isTurning: () => leader.isTurning() },
      { name: "watches", isTurning: () => watches.isTurning() },
      { name: "webhooks", isTurning: () => webhooks.isTurning() },
    ],
  });
  return {
    module: WorkerModule,
    imports: [healthModule(health)],
    controllers: [MetricsController],
    providers: [
      { provide: TenantsFile, useValue: tenants },
      { provide: Metrics, useValue: metrics },
      { provide: Admission, useValue: admission },
      { provide: Leader, useValue: leader },
      { provide: SessionWorker, useValue: worker },
      { provide: Sweep, useValue: sweep },
      { provide: PodWatches, useValue: watches },
      { provide: WebhookSender, useValue: webhooks },
    ],
  };
}
