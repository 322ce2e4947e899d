/** Watches the pods of one namespace and reports each changed pod with its session. */
import { isDeepStrictEqual } from "node:util";
import { type KubeConfig, type V1Pod, Watch } from "@kubernetes/client-node";
import type { Logger } from "pino";
import { isUp, type PodView } from "../domain/states/podView.ts";
import { Loop } from "../timing/loop.ts";
import type { CoreApi } from "./kubernetes.ts";
import { sessionLabel, sessionSelector } from "./names.ts";
import { type PageQuery, pagesOf } from "./pages.ts";
import { viewPod } from "./podView.ts";

export interface PodWatchOptions {
  namespace: string;
  /**
   * Called with the session's id, its pod, and what the pod means for the session, each time when this meaning has changed or the
   * pod was deleted. `pod` is undefined if the pod was deleted while no watch was open. Not called for a new pod that only needs
   * time, nor for a pod of the first list that runs or starts, because the sweep compares these pods with the rows. Must not throw.
   */
  onChange: (sessionId: string, pod: V1Pod | undefined, view: PodView) => void;
  /** Called each time an error has ended the watch. A pause follows, and then the next watch begins. */
  onRestart: () => void;
  logger: Logger;
  /** The longest extra pause after several errors, in milliseconds, in addition to half a second. Default: 10 000. */
  backoffLimitMs?: number;
  /** After how many milliseconds without an event or a bookmark the watch counts as broken. Default: 90 000. */
  silenceMs?: number;
}

/** The API server sends a bookmark each minute. */
const defaultSilenceMs = 90_000;

/** What is kept of a pod. A whole pod takes about 10 kB, and the leader watches the pods of all sessions. */
export interface KnownPod {
  /** What the pod's status meant for its session at the pod's last change. */
  view: PodView;
  /** When the pod was created. */
  since: Date;
}

/** How long a watch may fail, in milliseconds, until what it knows of the pods counts as too old. */
const tooOldMs = 60_000;

/**
 * Runs until `stop`. Lists the pods, then follows their changes. A watch that ends is continued where it ended. If the API server
 * no longer has the changes since then, or if a watch breaks before its first event, the pods are listed again, and only those that
 * have changed are reported.
 */
export class PodWatch {
  readonly #loop: Loop;
  /** The pods that exist, by session id. */
  readonly #known = new Map<string, KnownPod>();
  /** The version up to which changes are known; undefined: the pods must be listed. */
  #resourceVersion: string | undefined;
  /** Whether the first list is complete. */
  #isListed = false;
  /** Resolved when the first iteration of the loop has listed the pods or has failed. */
  readonly #tried = Promise.withResolvers<void>();
  /** Since when the watch fails, by performance.now(); undefined: it does not fail. */
  #failsSince: number | undefined;
  /** Whether the API server has sent an event or a bookmark in the present iteration of the loop. */
  #isHeard = false;
  #failures = 0;
  /** The open watch, and what ends the present iteration of the loop without waiting for the API server. */
  #request: AbortController | undefined;
  #endIteration: () => void = () => {};

  constructor(
    private readonly config: KubeConfig,
    private readonly core: CoreApi,
    private readonly options: PodWatchOptions,
  ) {
    this.#loop = new Loop(() => this.#iterate(), 60_000 + 2 * (options.silenceMs ?? defaultSilenceMs));
    this.#loop.start();
  }

  /** Whether the watch still gets events or bookmarks, or begins again. */
  isAlive(): boolean {
    return this.#loop.isAlive();
  }

  /**
   * The sessions' pods by session id, as they are known now. If the watch has just begun, waits until it has listed the pods. Throws
   * if they could not be listed, or if the watch has failed for a minute.
   */
  async pods(): Promise<Map<string, KnownPod>> {
    await this.#tried.promise;
    const isTooOld = this.#failsSince !== undefined && performance.now() - this.#failsSince > tooOldMs;
    if (!this.#isListed || isTooOld) throw new Error(`the pods of ${this.options.namespace} can't be watched`);
    return new Map(this.#known);
  }

  async stop(): Promise<void> {
    const stopped = this.#loop.stop();
    this.#tried.resolve();
    this.#request?.abort();
    this.#endIteration();
    await stopped;
  }

  async #iterate(): Promise<number> {
    const began = performance.now();
    const { promise: stopped, resolve } = Promise.withResolvers<void>();
    this.#endIteration = resolve;
    this.#isHeard = false;
    try {
      await Promise.race([this.#watchOnce(), stopped]);
      this.#failures = 0;
      // An API server that ends each watch at once must not be asked without a pause.
      return performance.now() - began > 1_000 ? 0 : 1_000;
    } catch (error) {
      if (this.#loop.signal.aborted) return 0;
      this.#tried.resolve();
      this.#failsSince ??= performance.now();
      this.#failures = performance.now() - began > 60_000 ? 1 : this.#failures + 1;
      // After a restore of the cluster from a backup, the API server has lower resource versions than `#resourceVersion`. It
      // then refuses the watch with other errors than 410, or sends nothing until its versions have reached that number again.
      if (isExpired(error) || !this.#isHeard) this.#resourceVersion = undefined;
      const { backoffLimitMs = 10_000, logger, namespace, onRestart } = this.options;
      logger.warn({ err: error, namespace }, "the pod watch failed; it is restarted");
      onRestart();
      return 500 + Math.random() * Math.min(backoffLimitMs, 1_000 * 2 ** this.#failures);
    }
  }

  async #watchOnce(): Promise<void> {
    if (this.#resourceVersion === undefined) await this.#list();
    await this.#follow(this.#resourceVersion);
  }

  /** Reports the pods that are new, have changed or are gone since the last list. */
  async #list(): Promise<void> {
    const { namespace, onChange } = this.options;
    const gone = new Set(this.#known.keys());
    const list = (page: PageQuery) =>
      this.core.listNamespacedPod({ namespace, labelSelector: sessionSelector, ...page });
    let resourceVersion: string | undefined;
    for await (const { items, metadata } of pagesOf(list)) {
      if (this.#loop.signal.aborted) return;
      for (const pod of items) {
        const id = this.#report(pod);
        if (id !== undefined) gone.delete(id);
      }
      resourceVersion = metadata?.resourceVersion;
      this.#loop.beat();
    }
    for (const id of gone) {
      this.#known.delete(id);
      onChange(id, undefined, viewPod(undefined));
    }
    this.#resourceVersion = resourceVersion;
    this.#isListed = true;
    this.#failsSince = undefined;
    this.#tried.resolve();
  }

  /** Reports changes until the API server ends the watch or the loop stops. Throws if the watch breaks. */
  async #follow(resourceVersion: string | undefined): Promise<void> {
    const { namespace, silenceMs = defaultSilenceMs } = this.options;
    const { signal } = this.#loop;
    if (signal.aborted) return;
    const watch = new Watch(this.config);
    // client-node 2.0 has no public option for this time.
    Reflect.set(watch, "requestTimeoutMs", silenceMs);
    const query = { labelSelector: sessionSelector, allowWatchBookmarks: true, resourceVersion };
    await new Promise<void>((resolve, reject) => {
      let failure: unknown;
      const onEvent = (type: string, object: V1Pod & { code?: number }) => {
        if (signal.aborted) return;
        this.#loop.beat();
        if (type === "ERROR") {
          failure = object;
          return;
        }
        this.#isHeard = true;
        this.#failsSince = undefined;
        this.#note(type, object);
      };
      const onEnd = (error: unknown) => ((failure ?? error) ? reject(failure ?? error) : resolve());
      watch.watch(`/api/v1/namespaces/${namespace}/pods`, query, onEvent, onEnd).then((request) => {
        this.#request = request;
        if (signal.aborted) request.abort();
      }, reject);
    });
  }

  #note(type: string, pod: V1Pod): void {
    this.#resourceVersion = pod.metadata?.resourceVersion;
    if (type === "BOOKMARK") return;
    if (type !== "DELETED") return void this.#report(pod);
    const id = pod.metadata?.labels?.[sessionLabel];
    if (id === undefined) return;
    this.#known.delete(id);
    const last = viewPod(pod);
    this.options.onChange(id, pod, last.is === "displaced" ? last : viewPod(undefined));
  }

  /** Reports the pod if it has changed; see `onChange`. Returns the id of the pod's session. */
  #report(pod: V1Pod): string | undefined {
    const { labels, creationTimestamp } = pod.metadata ?? {};
    const id = labels?.[sessionLabel];
    if (id === undefined) return undefined;
    const known = this.#known.get(id);
    const view = viewPod(pod);
    // Of a watch's events, client-node parses no times.
    this.#known.set(id, { view, since: new Date(creationTimestamp ?? Date.now()) });
    const isQuiet = this.#isListed ? view.is === "pending" && view.needs === "time" : isUp(view.is);
    if (known === undefined ? !isQuiet : !isDeepStrictEqual(known.view, view)) this.options.onChange(id, pod, view);
    return id;
  }
}

/** Whether the API server no longer has the changes since the version that was asked for. */
const isExpired = (error: unknown) => {
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  return code === 410 || statusCode === 410;
};
