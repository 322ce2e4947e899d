import { podOf } from "../kubernetes.ts";
/** What runs for good says whether it lives and whether it is ready. Pods of Jobs end by themselves. */
export function probes(object) {
    if (!["Deployment", "StatefulSet", "DaemonSet"].includes(object.kind))
        return [];
    return (podOf(object)?.spec?.containers ?? []).flatMap((container) => ["livenessProbe", "readinessProbe"]
        .filter((probe) => container[probe] === undefined)
        .map((probe) => `container ${container.name}: has no ${probe}`));
}
