/** Waits until objects are ready, and until objects are deleted. */
import { setTimeout as sleep } from "node:timers/promises";
import { isObject, type Props } from "../protocol/values.ts";
import { type Api, ApiError, nameOf } from "./api.ts";
import type { Kind } from "./kinds.ts";
import { type KubeObject, metadataOf, namespaceOf } from "./object.ts";
import { unreadyPods } from "./pods.ts";
import { isWaitedFor, readiness } from "./ready.ts";

/** The time limit if the program sets none. The official plugin has the same limit. */
const defaultSeconds = 600;
const pauseMs = 300;

export interface Limits {
  timeoutSeconds: number;
  /** Aborted when the user wants to end the run. */
  signal: AbortSignal;
}

export interface Awaited {
  live: KubeObject;
  /** Why the object isn't ready. */
  problem?: string;
}

/** Waits until the object is ready or has failed, until the time is over, or until the user ends the run. */
export async function untilReady(api: Api, kind: Kind, applied: KubeObject, limits: Limits): Promise<Awaited> {
  if (!isWaitedFor(applied) || (await isBoundLater(api, applied))) return { live: applied };
  for (let live = applied, deadline = deadlineOf(limits); ; ) {
    const state = readiness(live);
    if (state === true) return { live };
    const over = limits.signal.aborted ? "the run was ended" : performance.now() > deadline ? "the time is over" : "";
    if (typeof state === "object" || over) {
      const reason = typeof state === "object" ? state.failed : `${state}, and ${over}`;
      const problem = [`${nameOf(live)} is not ready: ${reason}`, ...(await podsOf(api, live))].join("\n");
      return { live, problem };
    }
    await sleep(pauseMs);
    const found = await api.find(kind, metadataOf(applied)).catch((error) => {
      if (error instanceof ApiError) throw error;
      return live; // The connection was lost. If no later try succeeds, the deadline ends the wait.
    });
    if (!found) throw new Error("somebody has deleted the object");
    live = found;
  }
}

/**
 * Waits until the object is deleted, or until another object has its name. Throws if the time is over or the user ends the run.
 */
export async function untilGone(api: Api, kind: Kind, object: KubeObject, limits: Limits): Promise<void> {
  for (const deadline = deadlineOf(limits); ; await sleep(pauseMs)) {
    const live = await api.find(kind, metadataOf(object));
    if (!live || live.metadata.uid !== metadataOf(object).uid) return;
    if (limits.signal.aborted || performance.now() > deadline) throw new Error(whatHolds(live));
  }
}

const deadlineOf = ({ timeoutSeconds }: Limits) => performance.now() + (timeoutSeconds || defaultSeconds) * 1000;

/**
 * Whether the object is a PersistentVolumeClaim whose volume Kubernetes makes only when a first pod uses the claim. `untilReady`
 * does not wait for such a PersistentVolumeClaim.
 */
async function isBoundLater(api: Api, { kind, spec }: KubeObject): Promise<boolean> {
  if (kind !== "PersistentVolumeClaim" || !isObject(spec) || typeof spec.storageClassName !== "string") return false;
  return (await api.bindingMode(spec.storageClassName)) === "WaitForFirstConsumer";
}

async function podsOf(api: Api, object: KubeObject): Promise<string[]> {
  const { selector } = (object.spec ?? {}) as { selector?: { matchLabels?: Record<string, string> } };
  if (!selector?.matchLabels) return [];
  return unreadyPods(await api.pods(namespaceOf(object), selector.matchLabels));
}

/** Returns an error text that says why an object is not deleted yet: its finalizers, and the messages of its true conditions. */
function whatHolds(live: KubeObject): string {
  const { finalizers = [] } = metadataOf(live);
  const { conditions = [] } = (live.status ?? {}) as { conditions?: Props[] };
  const messages = conditions.filter(({ status }) => status === "True").map(({ message }) => String(message));
  const held = [...(finalizers.length > 0 ? [`its finalizers are ${finalizers.join(", ")}`] : []), ...messages];
  return `${nameOf(live)} is being deleted, but is still there${held.length > 0 ? `: ${held.join("; ")}` : ""}.`;
}
