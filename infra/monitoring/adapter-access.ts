/** What the adapter may do in Kubernetes. */
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { labels } from "../kubernetes/labels.ts";

/** To find the pods and nodes that a figure belongs to; their specs aren't needed, but metadata has no verb of its own. */
const rules = (resourceMetrics: boolean) => [
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch"] },
  ...(resourceMetrics ? [{ apiGroups: [""], resources: ["nodes"], verbs: ["get", "list", "watch"] }] : []),
];

/** Its own rights, and those of every API that Kubernetes calls: to ask who the caller is and what they may do. */
export function adapterAccess(
  name: string,
  args: { namespace: pulumi.Input<string>; account: pulumi.Input<string>; resourceMetrics: boolean },
  opts: pulumi.CustomResourceOptions,
): pulumi.Resource[] {
  const meta = (object: string) => ({ name: object, labels: labels("prometheus-adapter") });
  const subjects = [{ kind: "ServiceAccount", name: args.account, namespace: args.namespace }];
  const apiGroup = "rbac.authorization.k8s.io";
  const role = new k8s.rbac.v1.ClusterRole(
    name,
    { metadata: meta("berth-prometheus-adapter"), rules: rules(args.resourceMetrics) },
    opts,
  );
  return [
    new k8s.rbac.v1.ClusterRoleBinding(
      name,
      {
        metadata: meta("berth-prometheus-adapter"),
        roleRef: { apiGroup, kind: "ClusterRole", name: role.metadata.name },
        subjects,
      },
      opts,
    ),
    new k8s.rbac.v1.ClusterRoleBinding(
      `${name}-auth-delegator`,
      {
        metadata: meta("berth-prometheus-adapter-auth-delegator"),
        roleRef: { apiGroup, kind: "ClusterRole", name: "system:auth-delegator" },
        subjects,
      },
      opts,
    ),
    new k8s.rbac.v1.RoleBinding(
      `${name}-auth-reader`,
      {
        metadata: { ...meta("berth-prometheus-adapter-auth-reader"), namespace: "kube-system" },
        roleRef: { apiGroup, kind: "Role", name: "extension-apiserver-authentication-reader" },
        subjects,
      },
      opts,
    ),
  ];
}
