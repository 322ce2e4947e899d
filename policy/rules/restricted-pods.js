import { containersOf, podOf } from "../kubernetes.ts";
/** Sources of volumes that reach nothing of the node. */
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
 * Pods are what Pod Security calls restricted, and their root file system is read-only. The cluster refuses others too,
 * but only once they are there; this tells before.
 */
export function restrictedPods(object) {
    const spec = podOf(object)?.spec;
    if (!spec)
        return [];
    return [...podFaults(spec), ...containersOf(object).flatMap((container) => [...containerFaults(container, spec)])];
}
function* podFaults(spec) {
    for (const field of ["hostNetwork", "hostPID", "hostIPC"])
        if (spec[field])
            yield `${field} is set: it shares the node's own`;
    for (const volume of spec.volumes ?? [])
        for (const source of Object.keys(volume))
            if (source !== "name" && !harmlessVolumes.includes(source))
                yield `volume ${volume.name} is a ${source}: use one of ${harmlessVolumes.join(", ")}`;
    if ((spec.securityContext?.sysctls ?? []).length > 0)
        yield "securityContext.sysctls are set";
}
function* containerFaults(container, spec) {
    const own = container.securityContext ?? {};
    const pod = spec.securityContext ?? {};
    const fault = (text) => `container ${container.name}: ${text}`;
    if ((own.runAsNonRoot ?? pod.runAsNonRoot) !== true)
        yield fault("set runAsNonRoot: true");
    if ((own.runAsUser ?? pod.runAsUser) === 0)
        yield fault("runAsUser is root");
    const seccomp = (own.seccompProfile ?? pod.seccompProfile)?.type ?? "";
    if (!["RuntimeDefault", "Localhost"].includes(seccomp))
        yield fault("set seccompProfile: { type: RuntimeDefault }");
    if (own.allowPrivilegeEscalation !== false)
        yield fault("set allowPrivilegeEscalation: false");
    if (own.privileged)
        yield fault("privileged is set");
    if (!own.capabilities?.drop?.includes("ALL"))
        yield fault("drop ALL capabilities");
    const added = (own.capabilities?.add ?? []).filter((capability) => capability !== "NET_BIND_SERVICE");
    if (added.length > 0)
        yield fault(`adds the capabilities ${added.join(", ")}`);
    if ((own.procMount ?? "Default") !== "Default")
        yield fault("procMount is not Default");
    if (own.readOnlyRootFilesystem !== true)
        yield fault("set readOnlyRootFilesystem: true");
    for (const { hostPort } of container.ports ?? [])
        if (hostPort)
            yield fault(`hostPort ${hostPort} is set`);
}
