/** The kinds of Kubernetes objects in Berth's stack; the stand-in refuses all others. */

export interface Kind {
  apiVersion: string;
  kind: string;
  /** The kind's name in paths of the API. */
  plural: string;
  namespaced: boolean;
}

/** The kinds by API version, each as `Kind plural`. A star marks a kind whose objects are in no namespace. */
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
  "admissionregistration.k8s.io/v1": [
    "ValidatingAdmissionPolicy* validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding* validatingadmissionpolicybindings",
  ],
  "apiregistration.k8s.io/v1": ["APIService* apiservices"],
  "apps/v1": ["DaemonSet daemonsets", "Deployment deployments", "StatefulSet statefulsets"],
  "autoscaling/v2": ["HorizontalPodAutoscaler horizontalpodautoscalers"],
  "batch/v1": ["CronJob cronjobs", "Job jobs"],
  "discovery.k8s.io/v1": ["EndpointSlice endpointslices"],
  // The stack has this kind if its config has `ingress.controller: gateway-api`.
  "gateway.networking.k8s.io/v1": ["HTTPRoute httproutes"],
  // The stack has this kind if its config has `autoscaler: keda`.
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
  // The stack has this kind if its config has `ingress.controller: traefik`.
  "traefik.io/v1alpha1": ["Middleware middlewares"],
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

/** The path of all objects of the kind in the Kubernetes API. Only the path of a namespaced kind contains the namespace. */
export function pathOf({ apiVersion, plural, namespaced }: Kind, namespace: string): string {
  const group = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  return `${group}${namespaced ? `/namespaces/${namespace}` : ""}/${plural}`;
}
