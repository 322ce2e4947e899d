/** reconcile(sessionId): looks at one session, in Postgres and in the cluster, and takes it one step closer. */

import { refusalOf, troubleOf } from "../cluster/kubernetes.ts";
import { lastLine } from "../cluster/logTail.ts";
import { shorten } from "../cluster/podView.ts";
import type { SessionObjects } from "../cluster/sessionObjects.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { type Action, decideDown, decideEnd, decideRun, decideStart, drained, type Limits } from "../domain/decide.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import type { Session, TimedSession } from "../domain/session.ts";
import { hasPod, isFinal, type SessionEvent } from "../domain/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { redact } from "../telemetry/redact.ts";
import { observeChange } from "./figures.ts";

/** What came of reconciling a session; the names are the label `outcome` of the metric. */
export type Reconciliation =
  /** There is no such session. */
  | { outcome: "unknown" }
  /** Nothing to do until something happens. */
  | { outcome: "settled"; session: Session }
  /** It took a step or waits for the cluster: look again after so many milliseconds. */
  | { outcome: "changed" | "waiting" | "stale"; session: Session; againMs?: number };

export interface ReconcilerOptions {
  queries: Pick<SessionQueries, "find" | "findTimed">;
  commands: Pick<SessionCommands, "apply">;
  objects: Pick<SessionObjects, "create" | "observe" | "observePod" | "removePod" | "remove">;
  /** The end of the agent's log; see logTail. */
  logs: {
    tail: (session: Session) => Promise<string>;
    /** Keeps it for when the pod is gone. */
    keep: (session: Session, log: string) => Promise<void>;
  };
  /** Lets sessions out of the queue whose turn it is. */
  admission: { run: () => Promise<void>; kick: () => void };
  tenants: Pick<TenantsFile, "get" | "generation" | "isClosed">;
  limits: Limits;
  metrics: Pick<Metrics, "startDuration" | "stopDuration" | "quotaRefusals">;
}

const worker: Actor = { name: "worker" };

/** How soon to look again while the cluster deletes objects, in milliseconds: the longer it takes, the less often. */
const removalPollMs = (seconds: number) => Math.min(5_000, 250 + 50 * seconds);

export class Reconciler {
  constructor(private readonly options: ReconcilerOptions) {}

  /** Harmless at any time and any number of times. Throws if Postgres or the API server can't be asked. */
  async reconcile(sessionId: string): Promise<Reconciliation> {
    const seen = await this.options.queries.findTimed(sessionId);
    if (seen === undefined) return { outcome: "unknown" };
    const tenant = this.options.tenants.get(seen.session.tenant);
    if (tenant === undefined && !this.options.tenants.isClosed(seen.session.tenant)) return this.#unknown(seen);
    // A closed tenant, or one that may have no sessions, ends the session.
    const isUnread = isBehind(this.options.tenants.generation, seen.session.tenantsGeneration);
    if (!tenant?.maxSessions && isUnread) return this.#unread(seen);
    switch (seen.session.state) {
      case "queued":
        return this.#queued(seen, tenant);
      case "starting":
      case "running":
        return this.#up(seen, tenant);
      case "suspended":
      case "suspending": {
        const end = decideEnd(seen, tenant);
        return end === undefined ? this.#down(seen, tenant) : this.#act(seen, end);
      }
      default:
        return this.#down(seen, tenant);
    }
  }

  /** The pod at this address has to leave its node, says the watch, and it may be gone before a look could see that. */
  async displaced(sessionId: string, podIp: string, reason: string): Promise<void> {
    const session = await this.options.queries.find(sessionId);
    if (session?.state !== "running" || session.podIp !== podIp) return;
    const tenant = this.options.tenants.get(session.tenant);
    if (tenant !== undefined) await this.#apply(session, drained(session, reason, tenant));
  }

  /** The sweep has it looked at again, and so has news of the tenants. Another worker may know more, and say so. */
  async #unread({ session }: TimedSession): Promise<Reconciliation> {
    if (session.reason === null)
      await this.#apply(session, { type: "waiting", reason: "Waiting for news of its tenant" });
    return { outcome: "waiting", session };
  }

  /**
   * The file does not name the tenant: it may be damaged, so nothing is ended or deleted until the tenant is named again. Only
   * a session that is ending already, and of which nothing is left, has ended: its namespace may be gone.
   */
  async #unknown(seen: TimedSession): Promise<Reconciliation> {
    const { session } = seen;
    if (session.state !== "stopping") return this.#unread(seen);
    try {
      const { secret, claim, podObject } = await this.options.objects.observe(session);
      if ([secret, claim, podObject].some((object) => object !== "absent")) return { outcome: "waiting", session };
    } catch (error) {
      if (refusalOf(error)?.kind !== "denied") throw error;
    }
    return this.#apply(session, { type: "gone", keepSeconds: 0 });
  }

  async #queued(seen: TimedSession, tenant: Tenant | undefined): Promise<Reconciliation> {
    const end = decideEnd(seen, tenant);
    if (end !== undefined) return this.#act(seen, end);
    await this.options.admission.run();
    const now = await this.options.queries.findTimed(seen.session.id);
    if (now === undefined) return { outcome: "unknown" };
    if (now.session.state === "queued") return { outcome: "settled", session: now.session };
    // Its objects are made at once: that is one look less on the way to its desktop.
    return now.session.state === "starting" && tenant !== undefined
      ? this.#create(now, tenant)
      : { outcome: "stale", session: now.session, againMs: 0 };
  }

  async #up(seen: TimedSession, tenant: Tenant | undefined): Promise<Reconciliation> {
    const { session } = seen;
    const end = decideEnd(seen, tenant);
    if (end !== undefined) return this.#act(seen, end);
    const observed = await this.options.objects.observePod(session);
    const action =
      session.state === "starting"
        ? decideStart(seen, observed, this.options.limits)
        : decideRun(session, observed, tenant);
    if (action.do === "create" && tenant !== undefined) return this.#create(seen, tenant);
    return this.#act(seen, await this.#explained(session, action), observed.podUid);
  }

  /** An agent's failure with the last line that it wrote: nobody else says why. */
  async #explained(session: Session, action: Action): Promise<Action> {
    if (action.do !== "apply" || action.event.type !== "fail" || action.event.cause !== "agent-error") return action;
    const line = lastLine(await this.options.logs.tail(session));
    if (line === undefined) return action;
    return {
      ...action,
      event: { ...action.event, reason: shorten(`${action.event.reason}: ${redact(line)}`) },
    };
  }

  /** Before the pod goes, and the log with it. */
  async #keepLog(session: Session): Promise<void> {
    const isAsked = session.state === "stopping" || session.state === "suspending";
    if (!isAsked || session.warm !== null) return;
    const log = await this.options.logs.tail(session);
    if (log !== "") await this.options.logs.keep(session, log);
  }

  async #down(seen: TimedSession, tenant: Tenant | undefined): Promise<Reconciliation> {
    const { objects } = this.options;
    const { session } = seen;
    try {
      const observed = await objects.observe(session);
      const action = decideDown(session, observed, tenant?.retentionSeconds ?? 0);
      const removes = action.do === "remove" || action.do === "removePod";
      if (removes && observed.podObject !== "absent") await this.#keepLog(session);
      if (action.do === "remove") {
        await objects.remove(session, observed);
        return this.#again(seen);
      }
      return this.#act(seen, action, observed.podUid);
    } catch (error) {
      // With a tenant its namespace goes, and with that our rights in it: there is nothing left to wait for.
      if (tenant !== undefined || refusalOf(error)?.kind !== "denied") throw error;
      return this.#act(seen, { do: "apply", event: { type: "gone", keepSeconds: 0 } });
    }
  }

  async #create(seen: TimedSession, tenant: Tenant): Promise<Reconciliation> {
    const { session } = seen;
    let creation: Awaited<ReturnType<SessionObjects["create"]>>;
    try {
      creation = await this.options.objects.create(session, tenant);
    } catch (error) {
      await this.#apply(session, { type: "waiting", reason: troubleOf(error) });
      throw error;
    }
    switch (creation.result) {
      case "created":
        return { outcome: "changed", session };
      case "defer":
        this.options.metrics.quotaRefusals.inc();
        return this.#apply(session, { type: "deferred", reason: creation.reason });
      case "wait":
        await this.#apply(session, { type: "waiting", reason: creation.reason, stalled: true });
        return { outcome: "waiting", session, againMs: 5_000 };
      case "fail":
        return this.#apply(session, { type: "fail", cause: "rejected", reason: creation.reason });
    }
  }

  async #act(seen: TimedSession, action: Action, podUid?: string): Promise<Reconciliation> {
    const { session } = seen;
    switch (action.do) {
      case "apply":
        return this.#apply(session, action.event);
      case "removePod":
        await this.options.objects.removePod(session, podUid);
        return this.#again(seen);
      case "nothing":
        return { outcome: "settled", session };
      default:
        return this.#again(seen);
    }
  }

  #again({ session, secondsInState }: TimedSession): Reconciliation {
    return { outcome: "waiting", session, againMs: removalPollMs(secondsInState) };
  }

  async #apply(session: Session, event: SessionEvent): Promise<Reconciliation> {
    const ifIdle = event.type === "stop" && event.cause === "idle";
    const result = await this.options.commands.apply(session, event, worker, { ifIdle });
    if (result === "unchanged") return { outcome: "settled", session };
    // Somebody else changed it meanwhile, so what was done may be undone: look again at once.
    if (result === "stale") return { outcome: "stale", session, againMs: 0 };
    observeChange(this.options.metrics, session, result);
    if (freesRoom(session, result)) this.options.admission.kick();
    const settles = result.state === "running" || isFinal(result.state);
    const more = result.state !== session.state && !settles && result.state !== "suspended";
    return { outcome: "changed", session: result, ...(more && { againMs: 0 }) };
  }
}

/** Whether others may start now because this one has started, stalls, or has no pod any more. */
function freesRoom(before: Session, after: Session): boolean {
  const startsNoMore = before.state === "starting" && !before.stalled && (after.state !== "starting" || after.stalled);
  return startsNoMore || (hasPod(before.state) && !hasPod(after.state));
}
