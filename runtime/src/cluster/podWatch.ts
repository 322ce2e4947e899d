/** Watches the pods of one namespace and reports each changed pod with its session. */
import { setTimeout as sleep } from "node:timers/promises";
import { type KubeConfig, makeInformer, type V1Pod } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { jittered, Loop } from "../timing/loop.ts";
import type { CoreApi } from "./kubernetes.ts";
import { sessionLabel, sessionSelector } from "./names.ts";

export interface PodWatchOptions {
  namespace: string;
  /**
   * Called with the session's id and its pod: first for every existing pod, then for every changed or deleted pod. Must not
   * throw.
   */
  onChange: (sessionId: string, pod: V1Pod) => void;
  /** Called whenever an error ended the watch and a new one begins. */
  onRestart: () => void;
  logger: Logger;
  /** After how many milliseconds a new watch begins even without an error. Default: 5 minutes. */
  relistMs?: number;
  /** The longest extra pause after several errors, in milliseconds, in addition to half a second. Default: 10 000. */
  backoffLimitMs?: number;
}

const defaultRelistMs = 5 * 60_000;

/**
 * Runs until `stop`. client-node's informer stops for good at the first error other than 410 or an idle time-out. So a
 * new informer begins after an error, with full-jitter backoff, and also from time to time without an error. A new informer
 * first reports all pods, so no change of an existing pod stays unnoticed. If a pod was deleted between two informers, the sweep
 * finds its session.
 */
export class PodWatch {
  readonly #loop: Loop;
  #failures = 0;

  constructor(
    private readonly config: KubeConfig,
    private readonly core: CoreApi,
    private readonly options: PodWatchOptions,
  ) {
    this.#loop = new Loop(() => this.#turn(), 3 * (options.relistMs ?? defaultRelistMs));
    this.#loop.start();
  }

  /** Whether new informers still begin from time to time. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(): Promise<number> {
    const began = performance.now();
    const error = await this.#watchOnce();
    if (error === undefined || this.#loop.signal.aborted) return 0;
    this.#failures = performance.now() - began > 60_000 ? 1 : this.#failures + 1;
    this.options.logger.warn(
      { err: error, namespace: this.options.namespace },
      "the pod watch failed; it is restarted",
    );
    this.options.onRestart();
    return 500 + Math.random() * Math.min(this.options.backoffLimitMs ?? 10_000, 1_000 * 2 ** this.#failures);
  }

  /** Runs one informer until an error, which is returned, or until it is time to list again or to stop. */
  async #watchOnce(): Promise<unknown> {
    const { namespace, onChange, relistMs = defaultRelistMs } = this.options;
    const informer = makeInformer<V1Pod>(
      this.config,
      `/api/v1/namespaces/${namespace}/pods`,
      () => this.core.listNamespacedPod({ namespace, labelSelector: sessionSelector }),
      sessionSelector,
    );
    const report = (pod: V1Pod) => {
      const id = pod.metadata?.labels?.[sessionLabel];
      if (id !== undefined) onChange(id, pod);
    };
    informer.on("add", report);
    informer.on("update", report);
    informer.on("delete", report);
    const broken = new Promise<unknown>((resolve) =>
      informer.on("error", (error) => resolve(error ?? new Error("closed"))),
    );
    const over = sleep(jittered(relistMs), undefined, { signal: this.#loop.signal }).catch(() => {});
    const failed = informer.start().then(
      () => undefined,
      (error: unknown) => error,
    );
    try {
      return await Promise.race([broken, over, failed.then((error) => error ?? over)]);
    } finally {
      await informer.stop();
      // If the informer is still listing pods, it starts its watch after this stop, so it is stopped a second time.
      void failed.then(() => informer.stop());
    }
  }
}
