/**
 * One watch for each tenant's namespace. The set of watches follows the tenants file. Only the leader watches. What happens while
 * nobody leads is found when the next leader lists the pods, and when its first sweep compares them with the rows. Until then,
 * running sessions go on, and a session whose pod becomes ready stays `starting`.
 */
import type { KubeConfig, V1Pod } from "@kubernetes/client-node";
import type { OnApplicationBootstrap, OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import { type CoreApi, sharingConnections } from "../cluster/kubernetes.ts";
import { type KnownPod, PodWatch, type PodWatchOptions } from "../cluster/podWatch.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { PodView } from "../domain/states/podView.ts";
import type { SessionQueue } from "../queue/sessionQueue.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Reconciler } from "./reconciler.ts";

export interface PodWatchesOptions extends Pick<PodWatchOptions, "backoffLimitMs" | "silenceMs"> {
  /**
   * How many milliseconds a process that does not lead any more still watches, because the next leader needs about 2 s to notice
   * this, and then has to list the pods. A pod that is drained in this time may be gone before the next leader sees why. Default:
   * 5 000.
   */
  handoverMs?: number;
}

export class PodWatches implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #config: KubeConfig;
  readonly #watches = new Map<string, PodWatch>();
  /** Whether this process watches, or begins to. */
  #isOn = false;
  #handover: NodeJS.Timeout | undefined;

  constructor(
    config: KubeConfig,
    private readonly core: CoreApi,
    private readonly tenants: Pick<TenantsFile, "namespaces" | "onChange">,
    private readonly queue: SessionQueue,
    private readonly reconciler: Pick<Reconciler, "displaced">,
    private readonly metrics: Metrics,
    private readonly logger: Logger,
    private readonly options: PodWatchesOptions = {},
  ) {
    this.#config = sharingConnections(config);
  }

  /** Whether every watch still gets events or bookmarks, or begins again. */
  isAlive(): boolean {
    return [...this.#watches.values()].every((watch) => watch.isAlive());
  }

  /** The pods of sessions in the namespace; see PodWatch. Throws also if this process does not watch the namespace. */
  async pods(namespace: string): Promise<Map<string, KnownPod>> {
    const watch = this.#watches.get(namespace);
    if (watch === undefined) throw new Error(`${namespace} is not watched`);
    return watch.pods();
  }

  /** Starts the watches if this process leads. Otherwise ends them after `handoverMs`. */
  lead(leads: boolean): void {
    clearTimeout(this.#handover);
    const set = () => {
      this.#isOn = leads;
      this.#follow();
    };
    if (leads) set();
    else this.#handover = setTimeout(set, this.#handoverMs);
  }

  onApplicationBootstrap(): void {
    this.tenants.onChange(() => this.#follow());
  }

  /** The next leader begins while this process shuts down, so this process watches a little longer. */
  async onApplicationShutdown(): Promise<void> {
    clearTimeout(this.#handover);
    if (this.#isOn) await new Promise((done) => setTimeout(done, this.#handoverMs));
    this.#isOn = false;
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    await Promise.all(watches.map((watch) => watch.stop()));
  }

  get #handoverMs(): number {
    return this.options.handoverMs ?? 5_000;
  }

  #follow(): void {
    const wanted = new Set(this.#isOn ? this.tenants.namespaces() : []);
    for (const [namespace, watch] of this.#watches) {
      if (wanted.has(namespace)) continue;
      this.#watches.delete(namespace);
      void watch.stop();
    }
    for (const namespace of wanted) {
      if (this.#watches.has(namespace)) continue;
      const watch = new PodWatch(this.#config, this.core, {
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
