/** Composes the role `worker`. */
import { type DynamicModule, Module } from "@nestjs/common";
import type { Logger } from "pino";
import { MetricsController } from "../api/metricsController.ts";
import { connectKubernetes, connectLeases, loadKubeConfig } from "../cluster/kubernetes.ts";
import type { Config } from "../config/config.ts";
import { TenantsFile } from "../config/tenantsFile.ts";
import { connectBlockingRedis } from "../queue/redis.ts";
import { addBackupMetrics } from "../store/backups.ts";
import { pingDatabase } from "../store/database.ts";
import { DeliveryStore } from "../store/deliveryStore.ts";
import { isMigrated } from "../store/migrate.ts";
import { Health } from "../telemetry/health.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { HistoryExpiry } from "../worker/historyExpiry.ts";
import { Leader } from "../worker/leader.ts";
import { Planner } from "../worker/planner.ts";
import { PodWatches } from "../worker/podWatches.ts";
import { SessionWorker } from "../worker/sessionWorker.ts";
import { Sweep } from "../worker/sweep.ts";
import { WarmRefill } from "../worker/warmRefill.ts";
import { WebhookSender } from "../worker/webhooks/webhookSender.ts";
import type { Connections } from "./coreComponents.ts";
import { healthModule } from "./healthModule.ts";
import { workerComponents } from "./workerComponents.ts";

@Module({})
class WorkerModule {}

export function workerModule(config: Config, { database, redis }: Connections, logger: Logger): DynamicModule {
  const tenants = new TenantsFile(config.TENANTS_FILE, logger);
  const kubeConfig = loadKubeConfig();
  const { bell, metrics, planner, leader, worker, sweep, warmRefill, history, watches } = workerComponents({
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
  addBackupMetrics(metrics, database);
  const webhooks = new WebhookSender({
    store: new DeliveryStore(database),
    bell,
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
      { name: "queue", isAlive: () => worker.isAlive() },
      { name: "history", isAlive: () => history.isAlive() },
      { name: "planner", isAlive: () => planner.isAlive() },
      { name: "sweep", isAlive: () => sweep.isAlive() },
      { name: "warm pools", isAlive: () => warmRefill.isAlive() },
      { name: "lease", isAlive: () => leader.isAlive() },
      { name: "watches", isAlive: () => watches.isAlive() },
      { name: "webhooks", isAlive: () => webhooks.isAlive() },
    ],
  });
  return {
    module: WorkerModule,
    imports: [healthModule(health)],
    controllers: [MetricsController],
    providers: [
      { provide: TenantsFile, useValue: tenants },
      { provide: Metrics, useValue: metrics },
      { provide: Planner, useValue: planner },
      { provide: Leader, useValue: leader },
      { provide: SessionWorker, useValue: worker },
      { provide: HistoryExpiry, useValue: history },
      { provide: Sweep, useValue: sweep },
      { provide: WarmRefill, useValue: warmRefill },
      { provide: PodWatches, useValue: watches },
      { provide: WebhookSender, useValue: webhooks },
    ],
  };
}
