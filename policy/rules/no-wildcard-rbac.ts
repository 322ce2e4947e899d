import type { KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

const fields = ["apiGroups", "resources", "verbs", "nonResourceURLs"];

/**
 * Roles list each permission by name: no role has a wildcard, and no binding refers to cluster-admin, which consists of
 * wildcards.
 */
export function noWildcardRbac({ kind, manifest }: KubernetesObject): Faults {
  if (kind === "Role" || kind === "ClusterRole")
    return (manifest.rules ?? []).flatMap((rule: Record<string, string[] | undefined>, index: number) =>
      fields
        .filter((field) => rule[field]?.some((value) => value.includes("*")))
        .map((field) => `rules[${index}].${field} has a wildcard: name what is needed`),
    );
  if ((kind === "RoleBinding" || kind === "ClusterRoleBinding") && manifest.roleRef?.name === "cluster-admin")
    return ["binds cluster-admin: make a role of what is needed"];
  return [];
}
