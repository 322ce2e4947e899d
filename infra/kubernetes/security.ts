/**
 * The security context that Pod Security's level `restricted` requires, and the namespace labels that enforce this level.
 */

/** The version of the Pod Security rules. The version is fixed, so that a cluster upgrade does not change the rules. */
export const podSecurityVersion = "v1.34";

/** Labels of a namespace that allows only pods of the level `restricted`. */
export const restrictedNamespace = Object.fromEntries(
  ["enforce", "audit", "warn"].flatMap((mode) => [
    [`pod-security.kubernetes.io/${mode}`, "restricted"],
    [`pod-security.kubernetes.io/${mode}-version`, podSecurityVersion],
  ]),
);

/** @param uid the user and group of the processes, and the group that owns the volumes */
export const podSecurity = (uid: number) => ({
  runAsNonRoot: true,
  runAsUser: uid,
  runAsGroup: uid,
  fsGroup: uid,
  // If the root folder of a volume has the right owner, the kubelet does not check every file at each start.
  fsGroupChangePolicy: "OnRootMismatch",
  seccompProfile: { type: "RuntimeDefault" },
});

export const containerSecurity = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};
