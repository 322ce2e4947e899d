/**
 * reconcile(sessionId) reads one session in Postgres and in the cluster, and does one step: it brings the cluster closer to
 * what the session's row says, or writes into the row what has happened in the cluster.
 */

import type { Logger } from "pino";
import { refusalOf, troubleOf } from "../cluster/kubernetes.ts";
import { lastLine } from "../cluster/logTail.ts";
import { shorten } from "../cluster/podView.ts";
import type { SessionObjects } from "../cluster/sessionObjects.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import type { Actor } from "../domain/event.ts";
import { isBehind } from "../domain/generation.ts";
import type { Session, TimedSession } from "../domain/session.ts";
import {
  type Action,
  decideDown,
  decideEnd,
  decideRun,
  decideStart,
  drained,
  isNodeDead,
  type Limits,
} from "../domain/states/decide.ts";
import { hasPod, isFinal, type SessionEvent } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { redact } from "../telemetry/redact.ts";
import type { Planner } from "./planner.ts";
import { observeChange } from "./workerMetrics.ts";

/** The result of a reconcile. The names are values of the metric's label `outcome`. */
export type Reconciliation =
  /** The session does not exist. */
  | { outcome: "unknown" }
  /** There is nothing to do until the session, the cluster or the config changes. */
  | { outcome: "settled"; session: Session }
  /**
   * `changed`: a step was made. `waiting`: the cluster is still deleting objects, or something that the session needs is
   * missing. `stale`: another process has changed the session. Reconcile again after `againMs`; undefined: only after the
   * next trigger.
   */
  | { outcome: "changed" | "waiting" | "stale"; session: Session; againMs?: number };

export interface ReconcilerOptions {
  queries: Pick<SessionQueries, "find" | "findTimed">;
  commands: Pick<SessionCommands, "apply">;
  objects: Pick<SessionObjects, "create" | "observe" | "observePod" | "removePod" | "remove">;
  /** The last part of the agent's log; see logTail. */
  logs: {
    tail: (session: Session) => Promise<string>;
    /** Stores the last part of the agent's log, because Kubernetes deletes the log with the pod. */
    keep: (session: Session, log: string) => Promise<void>;
  };
  /** Decides which queued sessions start. */
  planner: Pick<Planner, "wake">;
  tenants: Pick<TenantsFile, "get" | "generation" | "isClosed">;
  limits: Limits;
  metrics: Pick<Metrics, "startDuration" | "stopDuration" | "quotaRefusals">;
  logger: Pick<Logger, "warn">;
}

const worker: Actor = { name: "worker" };

/**
 * How many milliseconds pass between two reads while the cluster deletes a session's objects. The time grows with the seconds that
 * the deletion has taken so far, so a long deletion causes few reads.
 */
const removalPollMs = (seconds: number) => Math.min(5_000, 250 + 50 * seconds);

export class Reconciler {
  constructor(private readonly options: ReconcilerOptions) {}

  /**
   * May be called at any time and repeatedly. Throws if Postgres or the Kubernetes API server does not answer, or if the
   * Kubernetes API server answers with an error from which the reconciler can't decide the next step.
   * @param isAdmitted whether the planner has just admitted the session, so that its pod hardly exists. The session's objects are
   *   then created without reading the pod first. If they exist nevertheless, this costs some requests. Default: false
   */
  async reconcile(sessionId: string, { isAdmitted = false } = {}): Promise<Reconciliation> {
    const timed = await this.options.queries.findTimed(sessionId);
    if (timed === undefined) return { outcome: "unknown" };
    const tenant = this.options.tenants.get(timed.session.tenant);
    if (tenant === undefined && !this.options.tenants.isClosed(timed.session.tenant)) return this.#unknown(timed);
    // If the tenant is closed or may have no sessions, the session ends.
    const isUnread = isBehind(this.options.tenants.generation, timed.session.tenantsGeneration);
    if (!tenant?.maxSessions && isUnread) return this.#unread(timed);
    switch (timed.session.state) {
      case "queued":
        return this.#queued(timed, tenant);
      case "starting":
      case "running":
        return this.#up(timed, tenant, isAdmitted);
      case "suspended":
      case "suspending": {
        const end = decideEnd(timed, tenant);
        return end === undefined ? this.#down(timed, tenant) : this.#act(timed, end);
      }
      default:
        return this.#down(timed, tenant);
    }
  }

  /**
   * The watch calls this immediately if the pod at this address has to leave its node, or if its node was shut down or
   * is lost. A reconcile could come too late, because the pod may be gone by then.
   */
  async displaced(sessionId: string, podIp: string, reason: string): Promise<void> {
    const session = await this.options.queries.find(sessionId);
    if (session?.state !== "running" || session.podIp !== podIp) return;
    const tenant = this.options.tenants.get(session.tenant);
    if (tenant !== undefined) await this.#apply(session, drained(session, reason, tenant));
  }

  /**
   * Leaves the session in its state, and at most stores why the session waits, until this process has read a tenants file
   * that is new enough to judge the session (see `isBehind`) or that allows the tenant to have sessions. If the session has
   * to end then, the change of the file or the sweep triggers a reconcile. A worker that already has the newer file may act
   * earlier.
   */
  async #unread({ session }: TimedSession): Promise<Reconciliation> {
    if (session.reason === null)
      await this.#apply(session, {
        type: "setReason",
        reason: "Waiting until the worker has read the tenant's config",
      });
    return { outcome: "waiting", session };
  }

  /**
   * The tenants file does not contain the tenant. The file may be damaged, so nothing is ended or deleted until the
   * tenant is in the file again. Only a session that is already ending becomes final, if it has no objects left or if the
   * worker may no longer read them, because its namespace may be gone.
   */
  async #unknown(timed: TimedSession): Promise<Reconciliation> {
    const { session } = timed;
    if (session.state !== "stopping") return this.#unread(timed);
    try {
      const { secret, volumeClaim, podObject } = await this.options.objects.observe(session);
      if ([secret, volumeClaim, podObject].some((object) => object !== "absent"))
        return { outcome: "waiting", session };
    } catch (error) {
      if (refusalOf(error)?.kind !== "denied") throw error;
    }
    return this.#apply(session, { type: "gone", keepSeconds: 0 });
  }

  async #queued(timed: TimedSession, tenant: Tenant | undefined): Promise<Reconciliation> {
    const end = decideEnd(timed, tenant);
    if (end !== undefined) return this.#act(timed, end);
    // During a rollout, an API of the former version adds a job for a new session, and does not wake the planner.
    this.options.planner.wake();
    return { outcome: "settled", session: timed.session };
  }

  async #up(timed: TimedSession, tenant: Tenant | undefined, isAdmitted: boolean): Promise<Reconciliation> {
    const { session } = timed;
    const { limits, objects } = this.options;
    const end = decideEnd(timed, tenant);
    if (end !== undefined) return this.#act(timed, end);
    const starts = session.state === "starting";
    if (isAdmitted && starts && tenant !== undefined && timed.secondsInState < limits.startTimeoutSeconds)
      return this.#create(timed, tenant);
    const observed = await objects.observePod(session);
    const action = starts ? decideStart(timed, observed, limits) : decideRun(session, observed, tenant);
    if (action.do === "create" && tenant !== undefined) return this.#create(timed, tenant);
    return this.#act(timed, await this.#explained(session, action), observed.podUid);
  }

  /** Adds the log's last line to the reason if the agent failed, because only the log says what went wrong. */
  async #explained(session: Session, action: Action): Promise<Action> {
    if (action.do !== "apply" || action.event.type !== "fail" || action.event.cause !== "agent-error") return action;
    const line = lastLine(await this.options.logs.tail(session));
    if (line === undefined) return action;
    return {
      ...action,
      event: { ...action.event, reason: shorten(`${action.event.reason}: ${redact(line)}`) },
    };
  }

  /** Stores the log before the pod and its log are deleted. */
  async #keepLog(session: Session): Promise<void> {
    const isAsked = session.state === "stopping" || session.state === "suspending";
    if (!isAsked || session.warm !== null) return;
    const log = await this.options.logs.tail(session);
    if (log !== "") await this.options.logs.keep(session, log);
  }

  async #down(timed: TimedSession, tenant: Tenant | undefined): Promise<Reconciliation> {
    const { limits, objects } = this.options;
    const { session } = timed;
    try {
      const observed = await objects.observe(session);
      const action: Action = isNodeDead(timed, observed, limits)
        ? { do: "forcePod" }
        : decideDown(session, observed, tenant?.retentionSeconds ?? 0);
      const removes = action.do === "remove" || action.do === "removePod";
      if (removes && observed.podObject !== "absent") await this.#keepLog(session);
      if (action.do === "remove") {
        await objects.remove(session, observed);
        return this.#again(timed);
      }
      return this.#act(timed, action, observed.podUid);
    } catch (error) {
      // A closed tenant's namespace, or the worker's rights there, may be deleted. Then nothing is left to wait for.
      if (tenant !== undefined || refusalOf(error)?.kind !== "denied") throw error;
      return this.#act(timed, { do: "apply", event: { type: "gone", keepSeconds: 0 } });
    }
  }

  async #create(timed: TimedSession, tenant: Tenant): Promise<Reconciliation> {
    const { session } = timed;
    let creation: Awaited<ReturnType<SessionObjects["create"]>>;
    try {
      creation = await this.options.objects.create(session, tenant);
    } catch (error) {
      await this.#apply(session, { type: "setReason", reason: troubleOf(error) });
      throw error;
    }
    switch (creation.result) {
      case "created":
        return { outcome: "changed", session };
      case "defer":
        this.options.metrics.quotaRefusals.inc();
        return this.#apply(session, { type: "deferred", reason: creation.reason });
      case "wait":
        await this.#apply(session, { type: "setReason", reason: creation.reason, stalled: true });
        return { outcome: "waiting", session, againMs: 5_000 };
      case "fail":
        return this.#apply(session, { type: "fail", cause: "rejected", reason: creation.reason });
    }
  }

  async #act(timed: TimedSession, action: Action, podUid?: string): Promise<Reconciliation> {
    const { session } = timed;
    switch (action.do) {
      case "apply":
        return this.#apply(session, action.event);
      case "removePod":
        await this.options.objects.removePod(session, podUid);
        return this.#again(timed);
      case "forcePod":
        this.options.logger.warn(
          { sessionId: session.id },
          "the pod is removed by force, because its node does not answer",
        );
        await this.options.objects.removePod(session, podUid, { isForced: true });
        return this.#again(timed);
      case "nothing":
        return { outcome: "settled", session };
      default:
        return this.#again(timed);
    }
  }

  #again({ session, secondsInState }: TimedSession): Reconciliation {
    return { outcome: "waiting", session, againMs: removalPollMs(secondsInState) };
  }

  async #apply(session: Session, event: SessionEvent): Promise<Reconciliation> {
    const ifIdle = event.type === "stop" && event.cause === "idle";
    const result = await this.options.commands.apply(session, event, worker, { ifIdle });
    if (result === "unchanged") return { outcome: "settled", session };
    // Another process changed the session, so this step may be obsolete: reconcile again immediately.
    if (result === "stale") return { outcome: "stale", session, againMs: 0 };
    observeChange(this.options.metrics, session, result);
    const isQueued = result.state === "queued";
    if (freesRoom(session, result) || (isQueued && session.state !== "queued")) this.options.planner.wake();
    const settles = result.state === "running" || result.state === "suspended" || isQueued || isFinal(result.state);
    const more = result.state !== session.state && !settles;
    return { outcome: "changed", session: result, ...(more && { againMs: 0 }) };
  }
}

/** Whether another session may start now, because this session is no longer starting, has stalled, or has no pod any more. */
function freesRoom(before: Session, after: Session): boolean {
  const startsNoMore = before.state === "starting" && !before.stalled && (after.state !== "starting" || after.stalled);
  return startsNoMore || (hasPod(before.state) && !hasPod(after.state));
}
