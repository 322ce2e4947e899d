const enforce = "pod-security.kubernetes.io/enforce";
/** Namespaces hold all pods to Pod Security `restricted`, those that the runtime makes too, in a version that is named. */
export function restrictedNamespaces({ kind, metadata }) {
    if (kind !== "Namespace")
        return [];
    const labels = metadata.labels ?? {};
    const faults = [];
    if (labels[enforce] !== "restricted")
        faults.push(`set the label ${enforce}: restricted`);
    if (!/^v1\.\d+$/.test(labels[`${enforce}-version`] ?? ""))
        faults.push(`pin the rules' version by the label ${enforce}-version, for example v1.34`);
    return faults;
}
