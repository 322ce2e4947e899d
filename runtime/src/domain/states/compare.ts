/** Compares the rows in Postgres with the objects in the cluster, in both directions. Pure: no I/O. */
import type { WorkspaceMode } from "../session.ts";
import { isUp, type PodView } from "./podView.ts";
import type { State } from "./state.ts";

/** A session that may have objects in the cluster. */
export interface SweptRow {
  id: string;
  namespace: string;
  state: State;
  workspaceMode: WorkspaceMode;
  /** The session has ended, and its workspace is kept. */
  isKept: boolean;
  /** A time limit of the session has passed, or the session has not ended and its tenant must not have sessions any more. */
  isDue: boolean;
}

/** The objects that the cluster has for one session id. */
export interface SweptObjects {
  namespace: string;
  pod: boolean;
  claim: boolean;
  secret: boolean;
  /** What the pod's status meant for the session at the pod's last change; undefined: not known. */
  view?: PodView["is"] | undefined;
  /** When the oldest of these objects was created. */
  since: Date;
}

export interface Comparison {
  /**
   * The sessions to reconcile. `isUrgent`: the pod's last change shows that a step is due. Otherwise the reconcile may find that
   * there is nothing to do.
   */
  toReconcile: { id: string; isUrgent: boolean }[];
  /** Objects without a row. `isOlder`: the objects are older than this database, so another database may have their rows. */
  orphans: { id: string; namespace: string; pod: boolean; claim: boolean; isOlder: boolean }[];
  /** Ids of the running sessions without a pod, and of the suspended sessions whose persistent volume or Secret is missing. */
  bare: string[];
}

/**
 * `rows` holds all sessions that are not final or whose workspace is kept, and the rows of all ids in `objects`.
 * `listed` holds the namespaces whose objects could be listed; nothing is known about the objects of other namespaces.
 * `rowsSince` is when the database was created.
 */
export function compare(
  rows: SweptRow[],
  objects: Map<string, SweptObjects>,
  listed: Set<string>,
  rowsSince: Date,
): Comparison {
  const result: Comparison = { toReconcile: [], orphans: [], bare: [] };
  const known = new Set(rows.map(({ id }) => id));
  for (const row of rows) {
    const there = objects.get(row.id);
    const isListed = listed.has(row.namespace);
    const isBare = isListed && lacks(row, there);
    if (isBare) result.bare.push(row.id);
    if (
      isBare ||
      isMoving(row) ||
      (!isListed && row.state !== "queued") ||
      hasTooMuch(row, there) ||
      isOver(row, there)
    ) {
      result.toReconcile.push({ id: row.id, isUrgent: isUrgent(row, there) });
    }
  }
  for (const [id, { namespace, pod, claim, since }] of objects) {
    // Kubernetes reports creation times in whole seconds.
    const isOlder = since.getTime() + 1_000 <= rowsSince.getTime();
    if (!known.has(id)) result.orphans.push({ id, namespace, pod, claim, isOlder });
  }
  return result;
}

/**
 * True if a reconcile may have to change this session's state. Never true for a queued session that is not due, because the
 * planner decides on all queued sessions together.
 */
const isMoving = ({ state, isDue }: SweptRow) =>
  isDue || state === "starting" || state === "suspending" || state === "stopping";

function lacks({ state, workspaceMode }: SweptRow, there: SweptObjects | undefined): boolean {
  if (state === "running") return there?.pod !== true;
  return state === "suspended" && workspaceMode === "persistent" && (there?.claim !== true || !there.secret);
}

/** Whether the pod of a running session has ended or has to leave its node, but the trigger of the reconcile was lost. */
const isOver = ({ state }: SweptRow, there: SweptObjects | undefined) =>
  state === "running" && there?.view !== undefined && !isUp(there.view);

/** Whether the pod's last change shows that a step of its session is due, for example because the trigger was lost. */
function isUrgent({ state }: SweptRow, there: SweptObjects | undefined): boolean {
  const view = there?.view;
  if (view === undefined || view === "absent") return false;
  if (state === "starting") return view !== "pending";
  if (state === "running") return !isUp(view);
  // The session ends or is suspended, but nobody has begun to delete its pod.
  return (state === "stopping" || state === "suspending") && view !== "leaving" && view !== "displaced";
}

function hasTooMuch({ state, isKept }: SweptRow, there: SweptObjects | undefined): boolean {
  if (there === undefined) return false;
  if (state === "suspended") return there.pod;
  return (state === "stopped" || state === "failed") && (there.pod || !isKept);
}
