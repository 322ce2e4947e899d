/** One watch for each tenant's namespace. The set of watches follows the tenants file. */
import type { KubeConfig, V1Pod } from "@kubernetes/client-node";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { CoreApi } from "../cluster/kubernetes.ts";
import { PodWatch, type PodWatchOptions } from "../cluster/podWatch.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { PodView } from "../domain/states/podView.ts";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Reconciler } from "./reconciler.ts";

export class PodWatches implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #watches = new Map<string, PodWatch>();
  #ended = false;

  constructor(
    private readonly config: KubeConfig,
    private readonly core: CoreApi,
    private readonly tenants: Pick<TenantsFile, "namespaces" | "onChange">,
    private readonly queue: SessionQueue,
    private readonly reconciler: Pick<Reconciler, "displaced">,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
    private readonly options: Pick<PodWatchOptions, "backoffLimitMs" | "silenceMs"> = {},
  ) {}

  /** Whether every watch still gets events or bookmarks, or begins again. */
  isAlive(): boolean {
    return [...this.#watches.values()].every((watch) => watch.isAlive());
  }

  /** What the session's pod meant for the session at its last change; undefined if no pod is known. */
  viewOf(namespace: string, sessionId: string): PodView["is"] | undefined {
    return this.#watches.get(namespace)?.viewOf(sessionId);
  }

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
        onChange: (sessionId, pod, view) => void this.#onChange(sessionId, pod, view),
        onRestart: () => this.metrics.watchRestarts.inc(),
        logger: this.logger,
        ...this.options,
      });
      this.#watches.set(namespace, watch);
    }
  }

  /**
   * Records a displaced pod at once. If the reconcile did this later, the pod object, which names the reason, might already
   * be deleted.
   */
  async #onChange(sessionId: string, pod: V1Pod | undefined, view: PodView): Promise<void> {
    if (view.is === "displaced" && pod?.status?.podIP) {
      await this.reconciler
        .displaced(sessionId, pod.status.podIP, view.reason)
        .catch((error: unknown) =>
          this.logger.warn({ err: error, sessionId }, "a displaced pod could not be recorded"),
        );
    }
    // A pod that waits for something changes only what the session's users read. The queue may be long meanwhile.
    this.queue.trigger(sessionId, view.is === "pending" ? "later" : "urgent");
  }
}
