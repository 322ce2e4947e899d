/** Watches the pods of one namespace and says whose pod changed. */
import { setTimeout as sleep } from "node:timers/promises";
import { type KubeConfig, makeInformer, type V1Pod } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { jittered, Loop } from "../timing/loop.ts";
import type { CoreApi } from "./kubernetes.ts";
import { sessionLabel, sessionSelector } from "./names.ts";

export interface PodWatchOptions {
  namespace: string;
  /** Called with the session's id and its pod, for every pod at the start, and then for every change of one. Must not throw. */
  onChange: (sessionId: string, pod: V1Pod) => void;
  /** Called whenever the watch had to be made anew after an error. */
  onRestart: () => void;
  logger: Logger;
  /** After how long the watch is made anew even if all seems well, in milliseconds. Default 5 minutes. */
  relistMs?: number;
  /** How long the pause after several errors may get, in milliseconds, beside the half second that is always waited. Default 10 000. */
  backoffLimitMs?: number;
}

const defaultRelistMs = 5 * 60_000;

/**
 * Runs until `stop`. client-node's informer stops for good at the first error that isn't 410 or its idle time-out, so it is
 * made anew after an error, with full-jitter backoff, and from time to time anyway: a new one lists all pods first, so
 * whatever was missed is told then. Pods that vanished in between are found by the sweep.
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

  /** Whether the watch is still made anew from time to time. */
  isTurning(): boolean {
    return this.#loop.isTurning();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  async #turn(): Promise<number> {
    const began = performance.now();
    const error = await this.#watchOnce();
    if (error === undefined || this.#loop.signal.aborted) return 0;
    this.#failures = performance.now() - began > 60_000 ? 1 : this.#failures + 1;
    this.options.logger.warn({ err: error, namespace: this.options.namespace }, "pod watch broke; it is made anew");
    this.options.onRestart();
    return 500 + Math.random() * Math.min(this.options.backoffLimitMs ?? 10_000, 1_000 * 2 ** this.#failures);
  }

  /** One informer's life: until an error, which it returns, or until it is time to list again or to stop. */
  async #watchOnce(): Promise<unknown> {
    const { namespace, onChange, relistMs = defaultRelistMs } = this.options;
    const informer = makeInformer<V1Pod>(
      this.config,
      `/api/v1/namespaces/${namespace}/pods`,
      () => this.core.listNamespacedPod({ namespace, labelSelector: sessionSelector }),
      sessionSelector,
    );
    const tell = (pod: V1Pod) => {
      const id = pod.metadata?.labels?.[sessionLabel];
      if (id !== undefined) onChange(id, pod);
    };
    informer.on("add", tell);
    informer.on("update", tell);
    informer.on("delete", tell);
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
      // A list that is still under way would open its watch all the same.
      void failed.then(() => informer.stop());
    }
  }
}
