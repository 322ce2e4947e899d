const fields = ["apiGroups", "resources", "verbs", "nonResourceURLs"];
/** Rights are named one by one: no wildcard in a role, and no binding to cluster-admin, which is made of them. */
export function noWildcardRbac({ kind, manifest }) {
    if (kind === "Role" || kind === "ClusterRole")
        return (manifest.rules ?? []).flatMap((rule, index) => fields
            .filter((field) => rule[field]?.some((value) => value.includes("*")))
            .map((field) => `rules[${index}].${field} has a wildcard: name what is needed`));
    if ((kind === "RoleBinding" || kind === "ClusterRoleBinding") && manifest.roleRef?.name === "cluster-admin")
        return ["binds cluster-admin: make a role of what is needed"];
    return [];
}
