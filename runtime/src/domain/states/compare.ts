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
  /** What the pod's status meant for the session at the pod's last change; undefined: there is no pod. */
  pod?: PodView["is"];
  volumeClaim: boolean;
  secret: boolean;
  /** When the oldest of these objects was created. */
  since: Date;
}

export interface Comparison {
  /**
   * The sessions to reconcile. `isUrgent`: the pod's last change shows that a step is due. Otherwise the reconcile may find that
   * there is nothing to do.
   */
  toReconcile: { id: string; isUrgent: boolean }[];
  /**
   * Objects without a row; empty if not all kinds were listed. `isOlder`: the objects are older than this database, so another
   * database may have their rows.
   */
  orphans: { id: string; namespace: string; pod: boolean; volumeClaim: boolean; isOlder: boolean }[];
  /**
   * Ids of the running sessions without a pod, and, if all kinds were listed, of the suspended sessions whose persistent volume or
   * Secret is missing.
   */
  bare: string[];
}

/** What the cluster has. */
export interface Listing {
  /** The objects by session id. */
  objects: Map<string, SweptObjects>;
  /** The namespaces whose objects could be listed; nothing is known about the objects of other namespaces. */
  listed: Set<string>;
  /** Whether `objects` holds objects of all kinds. Otherwise it holds only the pods. */
  isComplete: boolean;
}

/**
 * `rows` holds all sessions that are not final or whose workspace is kept, and the rows of all ids in `objects`. `rowsSince` is
 * when the database was created.
 */
export function compare(rows: SweptRow[], { objects, listed, isComplete }: Listing, rowsSince: Date): Comparison {
  const result: Comparison = { toReconcile: [], orphans: [], bare: [] };
  const known = new Set(rows.map(({ id }) => id));
  for (const row of rows) {
    const there = objects.get(row.id);
    const isListed = listed.has(row.namespace);
    const isBare = isListed && (row.state === "running" || isComplete) && lacks(row, there);
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
  if (!isComplete) return result;
  for (const [id, { namespace, pod, volumeClaim, since }] of objects) {
    if (known.has(id)) continue;
    // Kubernetes reports creation times in whole seconds.
    const isOlder = since.getTime() + 1_000 <= rowsSince.getTime();
    result.orphans.push({ id, namespace, pod: pod !== undefined, volumeClaim, isOlder });
  }
  return result;
}

/**
 * True if a reconcile may have to change this session's state. A queued session counts only if it is due: the
 * planner decides about the others together.
 */
const isMoving = ({ state, isDue }: SweptRow) =>
  isDue || state === "starting" || state === "suspending" || state === "stopping";

function lacks({ state, workspaceMode }: SweptRow, there: SweptObjects | undefined): boolean {
  if (state === "running") return there?.pod === undefined;
  return state === "suspended" && workspaceMode === "persistent" && (there?.volumeClaim !== true || !there.secret);
}

/** Whether the pod of a running session has ended or has to leave its node, but the trigger of the reconcile was lost. */
const isOver = ({ state }: SweptRow, there: SweptObjects | undefined) =>
  state === "running" && there?.pod !== undefined && !isUp(there.pod);

/** Whether the pod's last change shows that a step of its session is due, for example because the trigger was lost. */
function isUrgent({ state }: SweptRow, there: SweptObjects | undefined): boolean {
  const pod = there?.pod;
  if (pod === undefined) return false;
  if (state === "starting") return pod !== "pending";
  if (state === "running") return !isUp(pod);
  // The session ends or is suspended, but nobody has begun to delete its pod.
  return (state === "stopping" || state === "suspending") && pod !== "leaving" && pod !== "displaced";
}

function hasTooMuch({ state, isKept }: SweptRow, there: SweptObjects | undefined): boolean {
  if (there === undefined) return false;
  const hasPod = there.pod !== undefined;
  if (state === "suspended") return hasPod;
  return (state === "stopped" || state === "failed") && (hasPod || !isKept);
}
