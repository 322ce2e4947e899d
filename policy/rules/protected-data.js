/** Volumes, and the namespaces with which they would go, can't be deleted by a slip of the program or of its config. */
export function protectedData({ kind, manifest, protect }) {
    const holdsData = kind === "PersistentVolumeClaim" ||
        kind === "Namespace" ||
        (kind === "StatefulSet" && (manifest.spec?.volumeClaimTemplates ?? []).length > 0);
    return holdsData && !protect ? ["holds data: set the resource option protect"] : [];
}
