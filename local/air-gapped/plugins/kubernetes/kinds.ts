/** The kinds that Berth's stack has. */

export interface Kind {
  apiVersion: string;
  kind: string;
  /** As paths of the API have it. */
  plural: string;
  namespaced: boolean;
}

/** By API version: `Kind plural`, with a star where objects are in no namespace. */
const table: Record<string, string[]> = {
  v1: [
    "ConfigMap configmaps",
    "LimitRange limitranges",
    "Namespace* namespaces",
    "PersistentVolumeClaim persistentvolumeclaims",
    "ResourceQuota resourcequotas",
    "Secret secrets",
    "Service services",
    "ServiceAccount serviceaccounts",
  ],
  "apiregistration.k8s.io/v1": ["APIService* apiservices"],
  "apps/v1": ["DaemonSet daemonsets", "Deployment deployments", "StatefulSet statefulsets"],
  "autoscaling/v2": ["HorizontalPodAutoscaler horizontalpodautoscalers"],
  "batch/v1": ["CronJob cronjobs", "Job jobs"],
  "discovery.k8s.io/v1": ["EndpointSlice endpointslices"],
  // Where the cluster has KEDA.
  "keda.sh/v1alpha1": ["ScaledObject scaledobjects"],
  "networking.k8s.io/v1": ["Ingress ingresses", "NetworkPolicy networkpolicies"],
  "policy/v1": ["PodDisruptionBudget poddisruptionbudgets"],
  "rbac.authorization.k8s.io/v1": [
    "ClusterRole* clusterroles",
    "ClusterRoleBinding* clusterrolebindings",
    "Role roles",
    "RoleBinding rolebindings",
  ],
  "scheduling.k8s.io/v1": ["PriorityClass* priorityclasses"],
};

const kinds = new Map(
  Object.entries(table).flatMap(([apiVersion, entries]) =>
    entries.map((entry): [string, Kind] => {
      const [name = "", plural = ""] = entry.split(" ");
      const kind = name.replace("*", "");
      const group = apiVersion === "v1" ? "core/v1" : apiVersion;
      return [`kubernetes:${group}:${kind}`, { apiVersion, kind, plural, namespaced: !name.endsWith("*") }];
    }),
  ),
);

/** The kind of a Pulumi type such as `kubernetes:apps/v1:Deployment`. */
export const kindOf = (type: string): Kind | undefined => kinds.get(type);

/** The path of all objects of the kind, in the namespace where it has one. */
export function pathOf({ apiVersion, plural, namespaced }: Kind, namespace: string): string {
  const group = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  return `${group}${namespaced ? `/namespaces/${namespace}` : ""}/${plural}`;
}
