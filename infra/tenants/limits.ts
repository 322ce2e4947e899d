/** What the sessions of a tenant may use, together and each: its ResourceQuota and its LimitRange. */
import type { TenantConfig } from "../config/tenant.ts";

/** The tenant's quota. Objects that sessions never need are counted down to none. */
export const resourceQuota = (quota: TenantConfig["quota"]): Record<string, string> => ({
  "requests.cpu": quota.requestsCpu,
  "limits.cpu": quota.limitsCpu,
  "requests.memory": quota.requestsMemory,
  "limits.memory": quota.limitsMemory,
  "requests.storage": quota.storage,
  pods: String(quota.pods),
  persistentvolumeclaims: String(quota.volumes),
  // A session's Secret stays as long as its workspace, and a while longer on its way out.
  secrets: String(quota.volumes + quota.pods),
  configmaps: "10",
  services: "0",
  "services.nodeports": "0",
  "services.loadbalancers": "0",
});

/**
 * Bounds for one container, the large tier at most, and for one workspace. Sessions' containers say nothing of
 * ephemeral storage: all of /tmp (1 GiB) and the logs, and a pod that writes more ends before it fills its node's disk.
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
