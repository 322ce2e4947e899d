/** What Pod Security calls `restricted`, and the labels that hold namespaces to it. */

/** Pinned, so that a cluster upgrade never changes the rules by itself. */
export const podSecurityVersion = "v1.34";

/** Labels of a namespace in which only restricted pods may run. */
export const restrictedNamespace = Object.fromEntries(
  ["enforce", "audit", "warn"].flatMap((mode) => [
    [`pod-security.kubernetes.io/${mode}`, "restricted"],
    [`pod-security.kubernetes.io/${mode}-version`, podSecurityVersion],
  ]),
);

/** @param uid user, group and owner of the volumes */
export const podSecurity = (uid: number) => ({
  runAsNonRoot: true,
  runAsUser: uid,
  runAsGroup: uid,
  fsGroup: uid,
  // Volumes that have the right owner already are not walked through at each start.
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
});

export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
