/** What rows and cluster say of each other, both ways; pure. */
import type { WorkspaceMode } from "./session.ts";
import type { State } from "./state.ts";

/** A session of which something may be up. */
export interface SweptRow {
  id: string;
  namespace: string;
  state: State;
  workspaceMode: WorkspaceMode;
  /** After the end: its workspace is kept. */
  isKept: boolean;
  /** One of its time limits has passed, or its tenant may not have it any more. */
  isDue: boolean;
}

/** What the cluster has under a session's id. */
export interface SweptObjects {
  namespace: string;
  pod: boolean;
  claim: boolean;
  secret: boolean;
  /** When the first of them was made. */
  since: Date;
}

export interface Comparison {
  /** Sessions to look at. */
  look: string[];
  /** Objects that no row stands for. Those that are older than the database itself are not its to judge. */
  orphans: { id: string; namespace: string; pod: boolean; claim: boolean; isOlder: boolean }[];
  /** Rows that should have a pod or a workspace and don't. */
  bare: string[];
}

/**
 * `rows` are all sessions that are not final or whose workspace is kept, and all that `objects` names. `listed` are the
 * namespaces whose objects could be listed: about others the cluster says nothing here. `rowsSince`: when the database was
 * made.
 */
export function compare(
  rows: SweptRow[],
  objects: Map<string, SweptObjects>,
  listed: Set<string>,
  rowsSince: Date,
): Comparison {
  const result: Comparison = { look: [], orphans: [], bare: [] };
  const known = new Set(rows.map(({ id }) => id));
  for (const row of rows) {
    const there = objects.get(row.id);
    const isListed = listed.has(row.namespace);
    const isBare = isListed && lacks(row, there);
    if (isBare) result.bare.push(row.id);
    if (isBare || isMoving(row) || (!isListed && row.state !== "queued") || hasTooMuch(row, there)) {
      result.look.push(row.id);
    }
  }
  for (const [id, { namespace, pod, claim, since }] of objects) {
    // Kubernetes tells whole seconds.
    const isOlder = since.getTime() + 1_000 <= rowsSince.getTime();
    if (!known.has(id)) result.orphans.push({ id, namespace, pod, claim, isOlder });
  }
  return result;
}

/** It gets on by being looked at. A queued one doesn't: who may start is decided for all at once. */
const isMoving = ({ state, isDue }: SweptRow) =>
  isDue || state === "starting" || state === "suspending" || state === "stopping";

function lacks({ state, workspaceMode }: SweptRow, there: SweptObjects | undefined): boolean {
  if (state === "running") return there?.pod !== true;
  return state === "suspended" && workspaceMode === "persistent" && (there?.claim !== true || !there.secret);
}

function hasTooMuch({ state, isKept }: SweptRow, there: SweptObjects | undefined): boolean {
  if (there === undefined) return false;
  if (state === "suspended") return there.pod;
  return (state === "stopped" || state === "failed") && (there.pod || !isKept);
}
