/**
 * A tenant's ResourceQuotas, which limit all sessions together, and its LimitRange, which limits each container and each
 * workspace.
 */
import type { TenantConfig } from "../config/tenant.ts";

/**
 * The spec of the ResourceQuota for pods. The quota does not count the pods of the tenant's image puller.
 * @param pullerClass the PriorityClass of the image pullers
 */
export const podQuota = (quota: TenantConfig["quota"], pullerClass: string) => ({
  hard: {
    "requests.cpu": quota.requestsCpu,
    "limits.cpu": quota.limitsCpu,
    "requests.memory": quota.requestsMemory,
    "limits.memory": quota.limitsMemory,
    pods: String(quota.pods),
  },
  scopeSelector: {
    matchExpressions: [{ scopeName: "PriorityClass", operator: "NotIn", values: [pullerClass] }],
  },
});

/**
 * The limits (`hard`) of the ResourceQuota for volume claims, Secrets, ConfigMaps and Services. The quota allows no Service,
 * because sessions need none. This quota is separate from the quota for pods, because a quota that selects pods by priority class
 * cannot count other objects.
 */
export const objectQuota = (quota: TenantConfig["quota"]): Record<string, string> => ({
  "requests.storage": quota.storage,
  persistentvolumeclaims: String(quota.volumes),
  // There can be more Secrets than volumes: a session's Secret is deleted a little later than its workspace, and a session with
  // an ephemeral workspace has a Secret, but no volume.
  secrets: String(quota.volumes + quota.pods),
  configmaps: "10",
  services: "0",
  "services.nodeports": "0",
  "services.loadbalancers": "0",
});

/**
 * Limits for one container and for one workspace. A container may use as much CPU and memory as a session of the tier `large`.
 * The default limit for ephemeral storage is enough for /tmp (1 GiB) and the logs. The container of a session with an ephemeral
 * workspace has a higher limit, because that workspace counts too. If a pod writes more, the kubelet ends the pod, so that the
 * pod can't fill the node's disk.
 */
export const limitRange = (workspace: TenantConfig["workspace"]) => [
  {
    type: "Container",
    max: { cpu: "4", memory: "8Gi" },
    default: { cpu: "1", memory: "2Gi", "ephemeral-storage": "2Gi" },
    defaultRequest: { cpu: "500m", memory: "1Gi", "ephemeral-storage": "64Mi" },
  },
  { type: "PersistentVolumeClaim", max: { storage: workspace.size } },
];
