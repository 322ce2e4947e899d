/** A session's objects in the cluster: made, read and removed, each call harmless if repeated. */
import type { KubernetesObject } from "@kubernetes/client-node";
import pRetry from "p-retry";
import type { Observed } from "../domain/decide.ts";
import type { PodView } from "../domain/podView.ts";
import type { Session } from "../domain/session.ts";
import { findImage, type PodImages, waitsForImage } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import { warmMark } from "../domain/warmMark.ts";
import { type CoreApi, refusalOf } from "./kubernetes.ts";
import { objectName, sessionLabel } from "./names.ts";
import { claimFor, ownerReference, podFor, type SessionTokens, secretFor } from "./podSpec.ts";
import { asEvicted, mayBeEviction, viewPod } from "./podView.ts";
import { type Creation, explain } from "./refusals.ts";

export interface PodSettings {
  images: PodImages;
  /** Where the pods find the in-pod channel. */
  sessionUrl: string;
  /** What the session's pod gets. Undefined: the key is not known here. */
  tokens: (session: Session) => SessionTokens | undefined;
}

type Place = Pick<Session, "id" | "namespace">;

const at = ({ id, namespace }: Place) => ({ namespace, name: objectName(id) });

export class SessionObjects {
  constructor(
    private readonly core: CoreApi,
    private readonly settings: PodSettings,
  ) {}

  /** Makes the Secret, the claim and the pod, as far as they are missing. Throws if the API server can't be asked. */
  async create(session: Session, tenant: Tenant): Promise<Creation> {
    const { namespace } = session;
    const { images, sessionUrl } = this.settings;
    const tokens = this.settings.tokens(session);
    if (tokens === undefined)
      return { result: "wait", reason: `Waiting for a worker that has the token key ${session.tokenKey}` };
    const where = at(session);
    const image = findImage(tenant, images, session.image);
    if (image === undefined) return { result: "wait", reason: waitsForImage(tenant, session.image) };
    if (session.warm !== null && session.warm !== warmMark(images, image, tenant)) {
      return { result: "wait", reason: "Waiting for a worker of the version and the config that it is made ahead for" };
    }
    try {
      const secret = await ensure(
        session,
        () => this.core.createNamespacedSecret({ namespace, body: secretFor(session, tokens) }),
        () => this.core.readNamespacedSecret(where),
      );
      const owner = ownerReference(session, secret.metadata?.uid ?? "");
      // The claim first: a session that has room for its pod then never waits for room for its claim.
      if (session.workspaceMode === "persistent") {
        await ensure(
          session,
          () => this.core.createNamespacedPersistentVolumeClaim({ namespace, body: claimFor(session, tenant, owner) }),
          () => this.core.readNamespacedPersistentVolumeClaim(where),
        );
      }
      await ensure(
        session,
        () =>
          this.core.createNamespacedPod({
            namespace,
            body: podFor(session, tenant, owner, { image, berthd: images.berthd, sessionUrl }),
          }),
        () => this.core.readNamespacedPod(where),
      );
      return { result: "created" };
    } catch (error) {
      if (error instanceof ForeignObject) return { result: "fail", reason: error.message };
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return explain(refusal);
    }
  }

  /** What the cluster has of the session. */
  async observe(session: Place): Promise<Observed> {
    const where = at(session);
    const [secret, claim, pod] = await Promise.all([
      read(() => this.core.readNamespacedSecret(where)),
      read(() => this.core.readNamespacedPersistentVolumeClaim(where)),
      read(() => this.core.readNamespacedPod(where)),
    ]);
    return {
      pod: viewPod(pod),
      podUid: pod?.metadata?.uid,
      podObject: stateOf(pod),
      secret: stateOf(secret),
      claim: stateOf(claim),
    };
  }

  /** The same with the pod alone, which is all that a session that is up needs looked at. */
  async observePod(session: Place): Promise<Pick<Observed, "pod" | "podUid" | "podObject">> {
    const pod = await read(() => this.core.readNamespacedPod(at(session)));
    const uid = pod?.metadata?.uid;
    return { pod: await this.#withEviction(session, viewPod(pod), uid), podUid: uid, podObject: stateOf(pod) };
  }

  /**
   * When the kubelet evicts a pod because a volume is over its limit, and the containers exit with 0 at its SIGTERM, the pod's
   * status is that of a success. Only the kubelet's event tells, which it sends before it ends the containers.
   */
  async #withEviction({ namespace }: Place, view: PodView, uid: string | undefined): Promise<PodView> {
    if (!mayBeEviction(view)) return view;
    const fieldSelector = `involvedObject.uid=${uid},reason=Evicted,source=kubelet`;
    try {
      return asEvicted(view, (await this.core.listNamespacedEvent({ namespace, fieldSelector, limit: 1 })).items);
    } catch (error) {
      // The tenant's Role is of an older version, without this right: the session ends all the same.
      if (refusalOf(error)?.kind === "denied") return view;
      throw error;
    }
  }

  /** Begins to delete the pod that was seen, and no later one of that name. */
  async removePod(session: Place, uid: string | undefined): Promise<void> {
    if (uid === undefined) return;
    try {
      await this.core.deleteNamespacedPod({ ...at(session), body: { preconditions: { uid } } });
    } catch (error) {
      const kind = refusalOf(error)?.kind;
      if (kind !== "missing" && kind !== "conflict") throw error;
    }
  }

  /** Begins to delete all that is there; it is gone when `observe` says so. */
  async remove(session: Place, observed: Pick<Observed, "secret" | "claim" | "podObject">): Promise<void> {
    const where = at(session);
    if (observed.secret !== "absent") {
      // Foreground: the owner stays, and can be seen, until claim and pod are gone.
      await read(() => this.core.deleteNamespacedSecret({ ...where, propagationPolicy: "Foreground" }));
      return;
    }
    // Somebody deleted the owner alone.
    if (observed.podObject === "present") await read(() => this.core.deleteNamespacedPod(where));
    if (observed.claim === "present") await read(() => this.core.deleteNamespacedPersistentVolumeClaim(where));
  }
}

class ForeignObject extends Error {}

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
    // Quota and limits are asked before the name is looked up, so an object that exists may be refused for its own weight.
    if (kind !== "exists" && kind !== "quota" && kind !== "rejected") throw error;
    const existing = await read(get);
    if (existing === undefined) throw error;
    if (existing.metadata?.labels?.[sessionLabel] !== session.id) {
      throw new ForeignObject(`An object named ${objectName(session.id)} exists that is not this session's`);
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

function stateOf(object: KubernetesObject | undefined): Observed["secret"] {
  if (object === undefined) return "absent";
  return object.metadata?.deletionTimestamp === undefined ? "present" : "deleting";
}
