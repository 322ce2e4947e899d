/** A session's objects in the cluster: made, read and removed, each call harmless if repeated. */
import type { KubernetesObject } from "@kubernetes/client-node";
import pRetry from "p-retry";
import type { ObjectState, Observed } from "../sessions/decide.ts";
import type { Session } from "../sessions/session.ts";
import type { Tenant } from "../tenants/tenants.ts";
import { type CoreApi, type Refusal, refusalOf } from "./kubernetes.ts";
import { objectName, sessionLabel } from "./names.ts";
import { claimFor, ownerReference, podFor, secretFor } from "./podSpec.ts";
import { shorten, viewPod } from "./podView.ts";

export interface PodSettings {
  /** Image of both containers. */
  agentImage: string;
  /** The token that lets the API through the session's vnc-proxy. */
  proxyToken: (sessionId: string) => string;
}

/** Whether the objects are there; if not, whether to wait or to give up, and why. */
export type Creation = { result: "created" } | { result: "wait" | "fail"; reason: string };

export class SessionObjects {
  constructor(
    private readonly core: CoreApi,
    private readonly settings: PodSettings,
  ) {}

  /** Makes the Secret, the claim and the pod, as far as they are missing. Throws if the API server can't be asked. */
  async create(session: Session, tenant: Tenant): Promise<Creation> {
    const { namespace } = session;
    const name = objectName(session.id);
    try {
      const secret = await ensure(
        session,
        () =>
          this.core.createNamespacedSecret({
            namespace,
            body: secretFor(session, this.settings.proxyToken(session.id)),
          }),
        () => this.core.readNamespacedSecret({ namespace, name }),
      );
      const owner = ownerReference(session, secret.metadata?.uid ?? "");
      // The claim first: a session that has room for its pod then never waits for room for its claim.
      await ensure(
        session,
        () => this.core.createNamespacedPersistentVolumeClaim({ namespace, body: claimFor(session, tenant, owner) }),
        () => this.core.readNamespacedPersistentVolumeClaim({ namespace, name }),
      );
      await ensure(
        session,
        () =>
          this.core.createNamespacedPod({ namespace, body: podFor(session, tenant, owner, this.settings.agentImage) }),
        () => this.core.readNamespacedPod({ namespace, name }),
      );
      return { result: "created" };
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return explain(refusal);
    }
  }

  /** What the cluster has of the session. */
  async observe(session: Session): Promise<Observed> {
    const at = { namespace: session.namespace, name: objectName(session.id) };
    const [secret, claim, pod] = await Promise.all([
      read(() => this.core.readNamespacedSecret(at)),
      read(() => this.core.readNamespacedPersistentVolumeClaim(at)),
      read(() => this.core.readNamespacedPod(at)),
    ]);
    return { pod: viewPod(pod), secret: stateOf(secret), claim: stateOf(claim), podObject: stateOf(pod) };
  }

  /** Begins to delete what is there; it is gone when `observe` says so. */
  async remove(session: Session, observed: Observed): Promise<void> {
    const at = { namespace: session.namespace, name: objectName(session.id) };
    if (observed.secret !== "absent") {
      // Foreground: the owner stays, and can be seen, until claim and pod are gone.
      await read(() => this.core.deleteNamespacedSecret({ ...at, propagationPolicy: "Foreground" }));
      return;
    }
    // Somebody deleted the owner alone.
    if (observed.podObject === "present") await read(() => this.core.deleteNamespacedPod(at));
    if (observed.claim === "present") await read(() => this.core.deleteNamespacedPersistentVolumeClaim(at));
  }
}

/** Creates the object unless it is there. An object of that name that isn't this session's is an error. */
async function ensure<T extends KubernetesObject>(
  session: Session,
  create: () => Promise<T>,
  get: () => Promise<T>,
): Promise<T> {
  try {
    return await pRetry(create, {
      retries: 6,
      minTimeout: 50,
      randomize: true,
      shouldRetry: ({ error }) => refusalOf(error)?.kind === "conflict",
    });
  } catch (error) {
    const kind = refusalOf(error)?.kind;
    // The quota is asked before the name is looked up, so an object that exists may be refused for its own weight.
    if (kind !== "exists" && kind !== "quota") throw error;
    const existing = await read(get);
    if (existing === undefined) throw error;
    if (existing.metadata?.labels?.[sessionLabel] !== session.id) {
      throw new Error(`${existing.kind ?? "an object"} ${objectName(session.id)} exists, but is not this session's`);
    }
    return existing;
  }
}

/** The call's answer, or undefined for 404. */
async function read<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (refusalOf(error)?.kind === "missing") return undefined;
    throw error;
  }
}

function stateOf(object: KubernetesObject | undefined): ObjectState {
  if (object === undefined) return "absent";
  return object.metadata?.deletionTimestamp === undefined ? "present" : "deleting";
}

/** The refusal of a create in words for the session's user. */
function explain({ kind, message }: Refusal): Creation {
  switch (kind) {
    case "quota": {
      const numbers = /exceeded quota: [^,]*, (.*)$/.exec(message)?.[1];
      return {
        result: "wait",
        reason: `Waiting for room in the tenant's quota${numbers ? ` (${shorten(numbers)})` : ""}`,
      };
    }
    case "missing":
      return { result: "wait", reason: "Waiting for the tenant's namespace, which does not exist yet" };
    case "denied":
      return {
        result: "wait",
        reason: shorten(`Waiting for the platform's rights in the tenant's namespace: ${message}`),
      };
    case "conflict":
    case "exists":
      return { result: "wait", reason: "Waiting for the cluster's quota controller" };
    case "rejected":
      return /being terminated/.test(message)
        ? { result: "fail", reason: "The tenant's namespace is being deleted" }
        : { result: "fail", reason: shorten(`The cluster rejected the session: ${message}`) };
  }
}
