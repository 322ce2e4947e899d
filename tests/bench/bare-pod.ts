/**
 * A pod with the same spec and volume as a session's pod, created directly by client-node. A session can't start faster than
 * this pod.
 */
import { randomBytes } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import {
  type KubeConfig,
  type V1PersistentVolumeClaimSpec,
  type V1Pod,
  type V1PodSpec,
  Watch,
} from "@kubernetes/client-node";
import { core } from "../berth.ts";

export interface Template {
  namespace: string;
  pod: V1PodSpec;
  claim: V1PersistentVolumeClaimSpec;
  /** The name of a copy of the session's Secret, which bare pods mount instead of the original. */
  secret: string;
  /** Deletes the copy of the Secret. */
  remove: () => Promise<void>;
}

/** The spec of a session's pod, without what Kubernetes has added when the pod was created. */
export function bareSpec({ spec }: V1Pod): V1PodSpec {
  const { nodeName: _node, tolerations: _tolerations, priority: _priority, ...rest } = spec ?? { containers: [] };
  return rest;
}

/** Whether the pod is ready. */
export const isReady = ({ status }: V1Pod): boolean =>
  status?.conditions?.some((condition) => condition.type === "Ready" && condition.status === "True") ?? false;

/** Reads the specs of a session's pod and volume claim, and makes a copy of the session's Secret. */
export async function templateOf(namespace: string, sessionId: string): Promise<Template> {
  const at = { namespace, name: `agent-${sessionId}` };
  const [pod, claim, original] = await Promise.all([
    core.readNamespacedPod(at),
    core.readNamespacedPersistentVolumeClaim(at),
    core.readNamespacedSecret(at),
  ]);
  const secret = `bench-${randomBytes(4).toString("hex")}`;
  await core.createNamespacedSecret({
    namespace,
    body: { metadata: { name: secret }, ...(original.data && { data: original.data }) },
  });
  const { volumeName: _volume, ...claimSpec } = claim.spec ?? {};
  return {
    namespace,
    pod: bareSpec(pod),
    claim: claimSpec,
    secret,
    remove: async () => void (await core.deleteNamespacedSecret({ namespace, name: secret })),
  };
}

/**
 * Creates a bare pod and waits until it is ready. Returns the milliseconds from the first request until then, and a function
 * that deletes the pod.
 */
export async function barePod(
  config: KubeConfig,
  template: Template,
): Promise<{ ms: number; remove: () => Promise<void> }> {
  const { namespace } = template;
  const name = `bench-${randomBytes(4).toString("hex")}`;
  const volumes = (template.pod.volumes ?? []).map((volume) => ({
    ...volume,
    ...(volume.persistentVolumeClaim && { persistentVolumeClaim: { claimName: name } }),
    ...(volume.secret && { secret: { ...volume.secret, secretName: template.secret } }),
  }));
  const began = performance.now();
  const body = { metadata: { name }, spec: template.claim };
  await core.createNamespacedPersistentVolumeClaim({ namespace, body });
  await core.createNamespacedPod({ namespace, body: { metadata: { name }, spec: { ...template.pod, volumes } } });
  await becomesReady(config, namespace, name);
  return {
    ms: performance.now() - began,
    remove: async () => {
      await core.deleteNamespacedPod({ namespace, name });
      await core.deleteNamespacedPersistentVolumeClaim({ namespace, name });
      await until(`the end of pod ${name}`, 120, () => isGone(namespace, name));
    },
  };
}

async function isGone(namespace: string, name: string): Promise<boolean> {
  const { items } = await core.listNamespacedPod({ namespace, fieldSelector: `metadata.name=${name}` });
  return items.length === 0;
}

async function becomesReady(config: KubeConfig, namespace: string, name: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const request = new Watch(config).watch(
      `/api/v1/namespaces/${namespace}/pods`,
      { fieldSelector: `metadata.name=${name}` },
      (_type, pod: V1Pod) => {
        if (!isReady(pod)) return;
        resolve();
        void request.then((controller) => controller.abort());
      },
      (error) => reject(error ?? new Error(`the watch of pod ${name} ended before it was ready`)),
    );
    request.catch(reject);
  });
}
