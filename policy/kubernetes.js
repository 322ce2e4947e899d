/** The Kubernetes object that the resource stands for; undefined for all others and for lists and patches. */
export function kubernetesObject({ type, name, urn, props, opts }) {
    const [, kind] = /^kubernetes:[^:]+:(\w+)$/.exec(type) ?? [];
    if (kind === undefined || /(List|Patch)$/.test(kind))
        return undefined;
    return { kind, resource: name, urn, metadata: props.metadata ?? {}, manifest: props, protect: opts.protect };
}
/** The pod that the object is or makes; undefined where it is of another kind. */
export function podOf({ kind, manifest }) {
    switch (kind) {
        case "Pod":
            return manifest;
        case "Deployment":
        case "StatefulSet":
        case "DaemonSet":
        case "ReplicaSet":
        case "ReplicationController":
        case "Job":
            return manifest.spec?.template;
        case "CronJob":
            return manifest.spec?.jobTemplate?.spec?.template;
        default:
            return undefined;
    }
}
/** All containers of the pod that the object is or makes, those that run before it included. */
export function containersOf(object) {
    const spec = podOf(object)?.spec;
    return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
}
