/** Waits for objects to be ready, and to be gone. */
import { setTimeout as sleep } from "node:timers/promises";
import { isObject, type Props } from "../protocol/values.ts";
import { type Api, ApiError, isCode, nameOf } from "./api.ts";
import type { Kind } from "./kinds.ts";
import { type KubeObject, metadataOf, namespaceOf } from "./object.ts";
import { unreadyPods } from "./pods.ts";
import { isWaitedFor, readiness } from "./ready.ts";

/** How long is waited where the program says nothing, as the official plugin has it. */
const defaultSeconds = 600;
const pauseMs = 300;

export interface Limits {
  timeoutSeconds: number;
  /** Says that the user wants to end the run. */
  signal: AbortSignal;
}

export interface Awaited {
  live: KubeObject;
  /** Why it isn't ready. */
  problem?: string;
}

/** Waits until the object is ready, has failed, or the time is over. */
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
    live = await api.get(kind, metadataOf(applied)).catch((error) => {
      if (error instanceof ApiError) throw error;
      return live; // A connection that was lost, which the deadline ends if it stays so.
    });
  }
}

/** Waits until the object is no more, or another is in its place. */
export async function untilGone(api: Api, kind: Kind, object: KubeObject, limits: Limits): Promise<void> {
  for (const deadline = deadlineOf(limits); ; await sleep(pauseMs)) {
    try {
      const live = await api.get(kind, metadataOf(object));
      if (metadataOf(live).uid !== metadataOf(object).uid) return;
      if (limits.signal.aborted || performance.now() > deadline) throw new Error(whatHolds(live));
    } catch (error) {
      if (isCode(error, 404)) return;
      throw error;
    }
  }
}

const deadlineOf = ({ timeoutSeconds }: Limits) => performance.now() + (timeoutSeconds || defaultSeconds) * 1000;

/** A claim whose volume is made for its first pod waits for nothing. */
async function isBoundLater(api: Api, { kind, spec }: KubeObject): Promise<boolean> {
  if (kind !== "PersistentVolumeClaim" || !isObject(spec) || typeof spec.storageClassName !== "string") return false;
  return (await api.bindingMode(spec.storageClassName)) === "WaitForFirstConsumer";
}

async function podsOf(api: Api, object: KubeObject): Promise<string[]> {
  const { selector } = (object.spec ?? {}) as { selector?: { matchLabels?: Record<string, string> } };
  if (!selector?.matchLabels) return [];
  return unreadyPods(await api.pods(namespaceOf(object), selector.matchLabels));
}

/** What keeps an object from going: finalizers, or what a Namespace says of its contents. */
function whatHolds(live: KubeObject): string {
  const { finalizers = [] } = metadataOf(live);
  const { conditions = [] } = (live.status ?? {}) as { conditions?: Props[] };
  const messages = conditions.filter(({ status }) => status === "True").map(({ message }) => String(message));
  const held = [...(finalizers.length > 0 ? [`its finalizers are ${finalizers.join(", ")}`] : []), ...messages];
  return `${nameOf(live)} is being deleted, but is still there${held.length > 0 ? `: ${held.join("; ")}` : ""}.`;
}
