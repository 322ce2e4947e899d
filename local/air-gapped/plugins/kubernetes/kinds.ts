/** The kinds of Kubernetes objects in Berth's stacks; the stand-in refuses all others. */

export interface Kind {
  apiVersion: string;
  kind: string;
  namespaced: boolean;
}

/** The kinds by API version. A star marks a kind whose objects are in no namespace. */
const table: Record<string, string> = {
  v1: "ConfigMap LimitRange Namespace* PersistentVolumeClaim ResourceQuota Secret Service ServiceAccount",
  "admissionregistration.k8s.io/v1": "ValidatingAdmissionPolicy* ValidatingAdmissionPolicyBinding*",
  "apiregistration.k8s.io/v1": "APIService*",
  "apps/v1": "DaemonSet Deployment StatefulSet",
  "autoscaling/v2": "HorizontalPodAutoscaler",
  "batch/v1": "CronJob Job",
  // Only the stack of the previous version and the proof of the stand-ins use this kind.
  "discovery.k8s.io/v1": "EndpointSlice",
  // The stack has this kind if its config has `ingress.controller: gateway-api`.
  "gateway.networking.k8s.io/v1": "HTTPRoute",
  // The stack has this kind if its config has `autoscaler: keda`.
  "keda.sh/v1alpha1": "ScaledObject",
  "networking.k8s.io/v1": "Ingress NetworkPolicy",
  "policy/v1": "PodDisruptionBudget",
  "rbac.authorization.k8s.io/v1": "ClusterRole* ClusterRoleBinding* Role RoleBinding",
  "scheduling.k8s.io/v1": "PriorityClass*",
  // The stack has this kind if its config has `ingress.controller: traefik`.
  "traefik.io/v1alpha1": "Middleware",
};

const kinds = new Map(
  Object.entries(table).flatMap(([apiVersion, names]) =>
    names.split(" ").map((name): [string, Kind] => {
      const kind = name.replace("*", "");
      const group = apiVersion === "v1" ? "core/v1" : apiVersion;
      return [`kubernetes:${group}:${kind}`, { apiVersion, kind, namespaced: !name.endsWith("*") }];
    }),
  ),
);

/** The kind of a Pulumi type such as `kubernetes:apps/v1:Deployment`. */
export const kindOf = (type: string): Kind | undefined => kinds.get(type);

/** The path of all objects of the kind in the Kubernetes API. Only the path of a namespaced kind contains the namespace. */
export function pathOf({ apiVersion, kind, namespaced }: Kind, namespace: string): string {
  const group = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  // All kinds of the table have regular plurals.
  const plural = kind.toLowerCase().replace(/y$/, "ie").replace(/s$/, "se").concat("s");
  return `${group}${namespaced ? `/namespaces/${namespace}` : ""}/${plural}`;
}
