import type { V1Container, V1PodSpec } from "@kubernetes/client-node";
import { containersOf, type KubernetesObject, podOf } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/** Volume types that give no access to the node. */
const harmlessVolumes = [
  "configMap",
  "csi",
  "downwardAPI",
  "emptyDir",
  "ephemeral",
  "persistentVolumeClaim",
  "projected",
  "secret",
];

/**
 * Pods keep the Pod Security level `restricted`, and their root file system is read-only. Kubernetes also refuses a pod
 * that breaks the level, but only when something in the cluster creates the pod. This rule reports such pods before the
 * deployment.
 */
export function restrictedPods(object: KubernetesObject): Faults {
  const spec = podOf(object)?.spec;
  if (!spec) return [];
  return [...podFaults(spec), ...containersOf(object).flatMap((container) => [...containerFaults(container, spec)])];
}

function* podFaults(spec: V1PodSpec): Generator<string> {
  for (const field of ["hostNetwork", "hostPID", "hostIPC"] as const)
    if (spec[field]) yield `${field} is set, so the pod shares this namespace with the node`;
  for (const volume of spec.volumes ?? [])
    for (const source of Object.keys(volume))
      if (source !== "name" && !harmlessVolumes.includes(source))
        yield `volume ${volume.name} is a ${source}: use one of ${harmlessVolumes.join(", ")}`;
  if ((spec.securityContext?.sysctls ?? []).length > 0) yield "securityContext.sysctls are set";
}

function* containerFaults(container: V1Container, spec: V1PodSpec): Generator<string> {
  const own = container.securityContext ?? {};
  const pod = spec.securityContext ?? {};
  const fault = (text: string) => `container ${container.name}: ${text}`;
  if ((own.runAsNonRoot ?? pod.runAsNonRoot) !== true) yield fault("set runAsNonRoot: true");
  if ((own.runAsUser ?? pod.runAsUser) === 0) yield fault("runAsUser is root");
  const seccomp = (own.seccompProfile ?? pod.seccompProfile)?.type ?? "";
  if (!["RuntimeDefault", "Localhost"].includes(seccomp)) yield fault("set seccompProfile: { type: RuntimeDefault }");
  if (own.allowPrivilegeEscalation !== false) yield fault("set allowPrivilegeEscalation: false");
  if (own.privileged) yield fault("privileged is set");
  if (!own.capabilities?.drop?.includes("ALL")) yield fault("drop ALL capabilities");
  const added = (own.capabilities?.add ?? []).filter((capability) => capability !== "NET_BIND_SERVICE");
  if (added.length > 0) yield fault(`adds the capabilities ${added.join(", ")}`);
  if ((own.procMount ?? "Default") !== "Default") yield fault("procMount is not Default");
  if (own.readOnlyRootFilesystem !== true) yield fault("set readOnlyRootFilesystem: true");
  for (const { hostPort } of container.ports ?? []) if (hostPort) yield fault(`hostPort ${hostPort} is set`);
}
