/** reconcile(sessionId): looks at one session, in Postgres and in the cluster, and takes it one step closer. */
import type { SessionObjects } from "../pods/sessionObjects.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { type Action, decide, type Limits } from "./decide.ts";
import type { Session } from "./session.ts";
import type { Actor, SessionStore } from "./sessionStore.ts";
import { finalStates, type SessionEvent } from "./state.ts";

/** What a look came to; the names are the label `outcome` of the metric. */
export type Look =
  /** There is no such session. */
  | { outcome: "unknown" }
  /** Nothing to do until something happens. */
  | { outcome: "settled"; session: Session }
  /** It took a step or waits for the cluster: look again after so many milliseconds. */
  | { outcome: "changed" | "waiting" | "stale"; session: Session; againMs?: number };

export interface ReconcilerOptions {
  store: SessionStore;
  objects: Pick<SessionObjects, "create" | "observe" | "remove">;
  /** The tenant as the stack has it now; undefined if it has been taken out. */
  tenant: (name: string) => Tenant | undefined;
  limits: Limits;
}

const worker: Actor = { name: "worker" };

/** How soon to look again while the cluster deletes objects, in milliseconds. */
const removalPollMs = 500;

export class Reconciler {
  constructor(private readonly options: ReconcilerOptions) {}

  /** Harmless at any time and any number of times. Throws if Postgres or the API server can't be asked. */
  async reconcile(sessionId: string): Promise<Look> {
    const { store, objects, limits } = this.options;
    const seen = await store.look(sessionId);
    if (seen === undefined) return { outcome: "unknown" };
    const { session, secondsInState } = seen;

    // A queued session is made, whatever there is of it: making is harmless if repeated.
    const observed = session.state === "queued" ? undefined : await objects.observe(session);
    const action: Action =
      observed === undefined ? { do: "create" } : decide(session.state, observed, secondsInState, limits);

    switch (action.do) {
      case "create":
        return this.#apply(session, await this.#create(session));
      case "apply":
        return this.#apply(session, action.event);
      case "remove":
        if (observed !== undefined) await objects.remove(session, observed);
        return { outcome: "waiting", session, againMs: removalPollMs };
      case "wait":
        return { outcome: "waiting", session, againMs: removalPollMs };
      case "nothing":
        return { outcome: "settled", session };
    }
  }

  async #create(session: Session): Promise<SessionEvent> {
    const tenant = this.options.tenant(session.tenant);
    if (tenant === undefined) {
      const reason = `The tenant ${session.tenant} does not exist any more`;
      return { type: "stop", cause: "tenant-removed", reason };
    }
    const creation = await this.options.objects.create(session, tenant);
    switch (creation.result) {
      case "created":
        return { type: "admitted" };
      case "wait":
        return { type: "waiting", reason: creation.reason };
      case "fail":
        return { type: "fail", cause: "rejected", reason: creation.reason };
    }
  }

  async #apply(session: Session, event: SessionEvent): Promise<Look> {
    const result = await this.options.store.apply(session, event, worker);
    if (result === "unchanged") return { outcome: "settled", session };
    // Somebody else changed it meanwhile, so what was done may be undone: look again at once.
    if (result === "stale") return { outcome: "stale", session, againMs: 0 };
    const finished = finalStates.some((state) => state === result.state);
    const more = !finished && result.state !== session.state && result.state !== "running";
    return { outcome: "changed", session: result, ...(more && { againMs: 0 }) };
  }
}
