/** One watch per tenant namespace, kept in step with the tenants. */
import type { KubeConfig } from "@kubernetes/client-node";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { Metrics } from "../metrics/metrics.ts";
import type { CoreApi } from "../pods/kubernetes.ts";
import { PodWatch } from "../pods/podWatch.ts";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { TenantsFile } from "../tenants/tenantsFile.ts";

export class PodWatches implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #watches = new Map<string, PodWatch>();
  #ended = false;

  constructor(
    private readonly config: KubeConfig,
    private readonly core: CoreApi,
    private readonly tenants: TenantsFile,
    private readonly queue: SessionQueue,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.#follow();
    this.tenants.onChange(() => this.#follow());
  }

  async onApplicationShutdown(): Promise<void> {
    this.#ended = true;
    await Promise.all([...this.#watches.values()].map((watch) => watch.stop()));
  }

  #follow(): void {
    if (this.#ended) return;
    const wanted = new Set(this.tenants.namespaces());
    for (const [namespace, watch] of this.#watches) {
      if (wanted.has(namespace)) continue;
      this.#watches.delete(namespace);
      void watch.stop();
    }
    for (const namespace of wanted) {
      if (this.#watches.has(namespace)) continue;
      const watch = new PodWatch(this.config, this.core, {
        namespace,
        onChange: (sessionId) => this.queue.look(sessionId),
        onRestart: () => this.metrics.watchRestarts.inc(),
        logger: this.logger,
      });
      this.#watches.set(namespace, watch);
    }
  }
}
