/** The adapter's permissions in Kubernetes. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { labels } from "../kubernetes/labels.ts";

/**
 * The adapter lists pods and nodes, because it assigns each metric to a pod or a node. It needs only the metadata of these
 * objects, but RBAC has no permission for metadata alone.
 */
const rules = (resourceMetrics: boolean) => [
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
  ...(resourceMetrics ? [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] }] : []),
];

/**
 * Gives the adapter's ServiceAccount two groups of permissions: to read pods (with `resourceMetrics` also nodes); and what
 * every extension API server needs, so that it can authenticate the clients that call it and check their permissions.
 */
export function adapterAccess(
  name: string,
  args: { namespace: pulumi.Input<string>; account: pulumi.Input<string>; resourceMetrics: boolean },
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource[] {
  /** @param suffix the end of the object's name, after the names of the platform's namespace and of the adapter */
  const meta = (suffix = "") => ({
    name: pulumi.interpolate`${args.namespace}-prometheus-adapter${suffix}`,
    labels: labels("prometheus-adapter"),
  });
  const subjects = [{ kind: "ServiceAccount", name: args.account, namespace: args.namespace }];
  const apiGroup = "rbac.authorization.k8s.io";
  const role = new k8s.rbac.v1.ClusterRole(name, { metadata: meta(), rules: rules(args.resourceMetrics) }, opts);
  return [
    new k8s.rbac.v1.ClusterRoleBinding(
      name,
      {
        metadata: meta(),
        roleRef: { apiGroup, kind: "ClusterRole", name: role.metadata.name },
        subjects,
      },
      opts,
    ),
    new k8s.rbac.v1.ClusterRoleBinding(
      `${name}-auth-delegator`,
      {
        metadata: meta("-auth-delegator"),
        roleRef: { apiGroup, kind: "ClusterRole", name: "system:auth-delegator" },
        subjects,
      },
      opts,
    ),
    new k8s.rbac.v1.RoleBinding(
      `${name}-auth-reader`,
      {
        metadata: { ...meta("-auth-reader"), namespace: "kube-system" },
        roleRef: { apiGroup, kind: "Role", name: "extension-apiserver-authentication-reader" },
        subjects,
      },
      opts,
    ),
  ];
}
