/**
 * A model of the rows and the cluster in memory, to test many orders of events quickly. The model keeps the promises
 * of Postgres and Kubernetes: a row changes by compare-and-set, a name exists once, and deleting an owner deletes all
 * that it owns. Every step may fail or be delayed.
 */
import type { Creation } from "../cluster/refusals.ts";
import type { Session } from "../domain/session.ts";
import type { Observed } from "../domain/states/decide.ts";
import { isFinal, type SessionEvent, type State, transition } from "../domain/states/state.ts";
import type { ReconcilerOptions } from "../worker/reconciler.ts";
import { session } from "./fixtures.ts";

/**
 * The fault of a call. `before`: the call does nothing and gets no answer. `after`: the call has its effect, but gets no answer.
 * `quota`: the creation of a pod is refused, because the quota has no room; other calls have no fault.
 */
export type Fault = "none" | "before" | "after" | "quota";

type PodState = "pending" | "ready" | "finished" | "broken" | "displaced";
interface Objects {
  secret: boolean;
  volumeClaim: boolean;
  pod?: { uid: string; state: PodState; leaving: boolean };
  /** The owner is being deleted, with all that it owns. */
  going: boolean;
}

export class Model {
  readonly rows = new Map<string, Session>();
  readonly trail: { id: string; state: State; version: number }[] = [];
  readonly cluster = new Map<string, Objects>();
  /** Chooses the fault of a call. Called once per call. */
  fault: () => Fault = () => "none";
  /** Waits before each call, so that other calls can come in between. */
  pause: () => Promise<void> = async () => {};
  /** How long the deletion of each pod is overdue. */
  podOverdueSeconds = 0;
  #uids = 0;

  create(id: string, changes: Partial<Session> = {}): void {
    const made = session({ id, ...changes });
    this.rows.set(id, made);
    this.trail.push({ id, state: made.state, version: made.version });
  }

  /** Applies a user's wish to the newest row. The API has the same effect, because it tries again after a conflict. */
  wish(id: string, event: SessionEvent): void {
    const before = this.rows.get(id);
    if (before !== undefined) this.#set(before, event);
  }

  #set(before: Session, event: SessionEvent): Session | "unchanged" | "stale" {
    const next = transition(before, event);
    if (next === undefined) return "unchanged";
    const now = this.rows.get(before.id);
    if (now?.version !== before.version) return "stale";
    const changed: Session = {
      ...now,
      ...next,
      version: now.version + (event.type === "setReason" ? 0 : 1),
      startedAt: event.type === "ready" ? new Date(0) : now.startedAt,
      workspaceUntil: event.type === "gone" && event.keepSeconds > 0 ? new Date(0) : now.workspaceUntil,
    };
    this.rows.set(before.id, changed);
    if (event.type !== "setReason") this.trail.push({ id: before.id, state: changed.state, version: changed.version });
    return changed;
  }

  expire(id: string): void {
    const row = this.rows.get(id);
    if (row !== undefined && isFinal(row.state)) this.rows.set(id, { ...row, workspaceUntil: null });
  }

  /** Lets time pass in the cluster: pods become ready, and objects that are being deleted disappear. */
  progress(id: string): void {
    const objects = this.cluster.get(id);
    if (objects === undefined) return;
    if (objects.going) this.cluster.delete(id);
    else if (objects.pod?.leaving) delete objects.pod;
    else if (objects.pod?.state === "pending") objects.pod.state = "ready";
  }

  /** Makes an event happen to the pod. */
  harm(id: string, state: Exclude<PodState, "pending" | "ready"> | "deleted" | "vanished"): void {
    const objects = this.cluster.get(id);
    if (objects?.pod === undefined) return;
    if (state === "vanished") delete objects.pod;
    else if (state === "deleted") objects.pod.leaving = true;
    else objects.pod.state = state;
  }

  readonly queries: ReconcilerOptions["queries"] = {
    findTimed: (id) =>
      this.#call(() => {
        const row = this.rows.get(id);
        return row && { session: row, secondsInState: 1, isIdle: false, isOverLifetime: false };
      }),
    find: (id) => this.#call(() => this.rows.get(id)),
  };

  readonly commands: ReconcilerOptions["commands"] = {
    apply: (before, event) => this.#call(() => this.#set(before, event)),
  };

  /** The stored logs by session. */
  readonly kept = new Map<string, string>();
  readonly logs: ReconcilerOptions["logs"] = {
    tail: async ({ id }) => (this.cluster.get(id)?.pod === undefined ? "" : "2026-11-28T00:00:00Z No such file\n"),
    keep: async ({ id }, log) => void this.kept.set(id, log),
  };

  /** Admits all queued sessions some time after a wake. */
  readonly planner: ReconcilerOptions["planner"] = {
    wake: () => {
      void this.pause().then(() => {
        for (const row of this.rows.values()) if (row.state === "queued") this.#set(row, { type: "admitted" });
      });
    },
  };

  readonly objects: ReconcilerOptions["objects"] = {
    create: async ({ id }): Promise<Creation> => {
      await this.#call(() => this.#at(id), true);
      await this.#call(() => {
        this.#at(id).volumeClaim = true;
      }, true);
      const creation = await this.#call((fault): Creation => {
        if (fault === "quota") return { result: "defer", reason: "no room" };
        this.#at(id).pod ??= { uid: `pod-${++this.#uids}`, state: "pending", leaving: false };
        return { result: "created" };
      }, true);
      return creation;
    },
    observe: ({ id }) => this.#call(() => this.#observe(id)),
    observePod: ({ id }) => this.#call(() => this.#observe(id)),
    removePod: ({ id }, uid, { isForced = false } = {}) =>
      this.#call(() => {
        const objects = this.cluster.get(id);
        if (objects?.pod === undefined || objects.pod.uid !== uid) return;
        if (isForced) delete objects.pod;
        else objects.pod.leaving = true;
      }),
    remove: ({ id }) =>
      this.#call(() => {
        const objects = this.cluster.get(id);
        if (objects !== undefined) objects.going = true;
      }),
  };

  /** The session's objects. If an object is created while the owner is being deleted, the object is deleted with the owner. */
  #at(id: string): Objects {
    const objects = this.cluster.get(id) ?? { secret: true, volumeClaim: false, going: false };
    this.cluster.set(id, objects);
    return objects;
  }

  #observe(id: string): Observed {
    const objects = this.cluster.get(id);
    const of = (there: boolean | undefined) => (!there ? "absent" : objects?.going ? "deleting" : "present");
    const pod = objects?.pod;
    const leaves = pod !== undefined && (pod.leaving || objects?.going === true);
    return {
      secret: of(objects?.secret),
      volumeClaim: of(objects?.volumeClaim),
      podObject: leaves ? "deleting" : of(pod !== undefined),
      podUid: pod?.uid,
      podOverdueSeconds: leaves ? this.podOverdueSeconds : undefined,
      pod:
        pod === undefined
          ? { is: "absent" }
          : pod.state === "displaced"
            ? { is: "displaced", reason: "drained" }
            : leaves
              ? { is: "leaving", reason: "deleted" }
              : pod.state === "ready"
                ? { is: "ready", ip: `10.0.0.1` }
                : pod.state === "pending"
                  ? { is: "pending", reason: "on its way", needs: "time" }
                  : pod.state === "finished"
                    ? { is: "finished", reason: "The agent exited" }
                    : { is: "broken", cause: "agent-error", reason: "The agent exited with code 1" },
    };
  }

  async #call<T>(work: (fault: Fault) => T, mayLackRoom = false): Promise<T> {
    await this.pause();
    const fault = this.fault();
    if (fault === "before") throw new Error("no answer");
    const result = work(mayLackRoom ? fault : "none");
    if (fault === "after") throw new Error("no answer");
    return result;
  }
}
