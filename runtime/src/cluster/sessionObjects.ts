/** Creates, reads and deletes a session's objects in the cluster. Each call may be repeated. */
import type { KubernetesObject, V1Pod } from "@kubernetes/client-node";
import pRetry from "p-retry";
import { podTemplateHash } from "../domain/podTemplateHash.ts";
import type { Session } from "../domain/session.ts";
import { findImage, type PodImages, waitsForImage } from "../domain/sessionImages.ts";
import type { Observed } from "../domain/states/decide.ts";
import type { PodView } from "../domain/states/podView.ts";
import type { Tenant } from "../domain/tenants.ts";
import { type CoreApi, refusalOf } from "./kubernetes.ts";
import { objectName, sessionLabel } from "./names.ts";
import {
  hasBerthdVolume,
  ownerReference,
  podFor,
  type SessionTokens,
  secretFor,
  volumeClaimFor,
} from "./podSpec/podSpec.ts";
import { asEvicted, mayBeEviction, viewPod } from "./podView.ts";
import { type Creation, explain } from "./refusals.ts";

export interface PodSettings {
  images: PodImages;
  /** The URL at which the pods reach the in-pod channel. */
  sessionUrl: string;
  /** The tokens of the session's pod; undefined if this process does not have their key. */
  tokens: (session: Session) => SessionTokens | undefined;
}

type NamespacedSession = Pick<Session, "id" | "namespace">;

const at = ({ id, namespace }: NamespacedSession) => ({ namespace, name: objectName(id) });

export class SessionObjects {
  constructor(
    private readonly core: CoreApi,
    private readonly settings: PodSettings,
  ) {}

  /**
   * Creates the Secret, the volume claim and the pod, except those that exist already. Throws if the Kubernetes API server
   * does not answer, is overloaded or has an internal error.
   */
  async create(session: Session, tenant: Tenant): Promise<Creation> {
    const { namespace } = session;
    const { images, sessionUrl } = this.settings;
    const tokens = this.settings.tokens(session);
    if (tokens === undefined)
      return { result: "wait", reason: `Waiting for a worker that has the token key ${session.tokenKey}` };
    const where = at(session);
    const image = findImage(tenant, images, session.image);
    if (image === undefined) return { result: "wait", reason: waitsForImage(tenant, session.image) };
    if (session.warm !== null && session.warm !== podTemplateHash(images, image, tenant)) {
      return { result: "wait", reason: "Waiting for a worker with the version and the config of this warm session" };
    }
    try {
      const secret = await ensure(
        session,
        () => this.core.createNamespacedSecret({ namespace, body: secretFor(session, tokens) }),
        () => this.core.readNamespacedSecret(where),
      );
      const owner = ownerReference(session, secret.metadata?.uid ?? "");
      // The volume claim is created before the pod, so that the pod is never admitted while its volume claim waits for quota, and
      // so that the scheduler knows the volume claim when it sees the pod. In a test with both calls at the same time, the
      // scheduler saw one pod in three first. Schedulers before 1.33 then wait for 1.5 s until they try again. The test saved at
      // most 4 ms.
      if (session.workspaceMode === "persistent") {
        await ensure(
          session,
          () =>
            this.core.createNamespacedPersistentVolumeClaim({
              namespace,
              body: volumeClaimFor(session, tenant, owner),
            }),
          () => this.core.readNamespacedPersistentVolumeClaim(where),
        );
      }
      const { berthd, berthdVolume } = images;
      const body = podFor(session, tenant, owner, { image, berthd, berthdVolume, sessionUrl });
      const pod = await ensure(
        session,
        () => this.core.createNamespacedPod({ namespace, body }),
        () => this.core.readNamespacedPod(where),
      );
      if (hasBerthdVolume(body) && !hasBerthdVolume(pod)) return { result: "fail", reason: noImageVolumes };
      return { result: "created" };
    } catch (error) {
      if (error instanceof ForeignObject) return { result: "fail", reason: error.message };
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      return explain(refusal);
    }
  }

  /** Reads all objects of the session. */
  async observe(session: NamespacedSession): Promise<Observed> {
    const where = at(session);
    const [secret, volumeClaim, pod] = await Promise.all([
      read(() => this.core.readNamespacedSecret(where)),
      read(() => this.core.readNamespacedPersistentVolumeClaim(where)),
      read(() => this.core.readNamespacedPod(where)),
    ]);
    return {
      pod: viewPod(pod),
      podUid: pod?.metadata?.uid,
      podOverdueSeconds: overdueSeconds(pod),
      podObject: stateOf(pod),
      secret: stateOf(secret),
      volumeClaim: stateOf(volumeClaim),
    };
  }

  /** Reads only the pod, and the event of its eviction if there may be one. This is enough in `starting` and `running`. */
  async observePod(session: NamespacedSession): Promise<Pick<Observed, "pod" | "podUid" | "podObject">> {
    const pod = await read(() => this.core.readNamespacedPod(at(session)));
    const uid = pod?.metadata?.uid;
    return { pod: await this.#withEviction(session, viewPod(pod), uid), podUid: uid, podObject: stateOf(pod) };
  }

  /**
   * If the kubelet evicts a pod because a volume is too large, and the containers exit with 0 after SIGTERM, the pod's
   * status says Succeeded. Only the kubelet's event says that the pod was evicted. The kubelet sends this event before it
   * ends the containers.
   */
  async #withEviction({ namespace }: NamespacedSession, view: PodView, uid: string | undefined): Promise<PodView> {
    if (!mayBeEviction(view)) return view;
    const fieldSelector = `involvedObject.uid=${uid},reason=Evicted,source=kubelet`;
    try {
      return asEvicted(view, (await this.core.listNamespacedEvent({ namespace, fieldSelector, limit: 1 })).items);
    } catch (error) {
      // An older version of the stack created the tenant's Role without the right to list events. Then the eviction is not
      // recognized, but the session ends anyway.
      if (refusalOf(error)?.kind === "denied") return view;
      throw error;
    }
  }

  /**
   * Starts the deletion of the pod with this UID, but not of a later pod with the same name. With `isForced`, the pod object is
   * gone at once, although its containers may still run.
   */
  async removePod(session: NamespacedSession, uid: string | undefined, { isForced = false } = {}): Promise<void> {
    if (uid === undefined) return;
    const body = { preconditions: { uid }, ...(isForced && { gracePeriodSeconds: 0 }) };
    try {
      await this.core.deleteNamespacedPod({ ...at(session), body });
    } catch (error) {
      const kind = refusalOf(error)?.kind;
      if (kind !== "missing" && kind !== "conflict") throw error;
    }
  }

  /** Starts the deletion of all objects of the session. They are gone when `observe` says so. */
  async remove(
    session: NamespacedSession,
    observed: Pick<Observed, "secret" | "volumeClaim" | "podObject">,
  ): Promise<void> {
    const where = at(session);
    if (observed.secret !== "absent") {
      // Foreground deletion keeps the owner visible until the volume claim and the pod are gone.
      await read(() => this.core.deleteNamespacedSecret({ ...where, propagationPolicy: "Foreground" }));
      return;
    }
    // Somebody else deleted only the Secret, so the other objects are deleted here.
    if (observed.podObject === "present") await read(() => this.core.deleteNamespacedPod(where));
    if (observed.volumeClaim === "present") await read(() => this.core.deleteNamespacedPersistentVolumeClaim(where));
  }
}

/** A Kubernetes API server whose feature gate ImageVolume is off removes image volumes from pods, and reports no error. */
const noImageVolumes =
  "The cluster has no image volumes: set images.berthdVolume to copy in the platform's config, or turn on Kubernetes' feature gate ImageVolume";

class ForeignObject extends Error {}

/** Creates the object unless it exists, and returns it. Throws if an object of this name does not belong to the session. */
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
    // Kubernetes checks quota and limits before the name, so it may refuse an object because of quota although the object
    // exists already.
    if (kind !== "exists" && kind !== "quota" && kind !== "rejected") throw error;
    const existing = await read(get);
    if (existing === undefined) throw error;
    if (existing.metadata?.labels?.[sessionLabel] !== session.id) {
      throw new ForeignObject(`An object named ${objectName(session.id)} exists, but does not belong to this session`);
    }
    return existing;
  }
}

/** The result of the call; undefined for the status 404. */
async function read<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch (error) {
    if (refusalOf(error)?.kind === "missing") return undefined;
    throw error;
  }
}

/** See `Observed`. Kubernetes sets the time of a deletion to the end of the grace period. */
function overdueSeconds(pod: V1Pod | undefined): number | undefined {
  const end = pod?.metadata?.deletionTimestamp;
  return end === undefined ? undefined : (Date.now() - end.getTime()) / 1_000;
}

function stateOf(object: KubernetesObject | undefined): Observed["secret"] {
  if (object === undefined) return "absent";
  return object.metadata?.deletionTimestamp === undefined ? "present" : "deleting";
}
