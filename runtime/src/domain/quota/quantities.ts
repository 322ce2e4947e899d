/** What a session requests from the cluster, and how much of its tenant's quota it uses. Pure: no I/O. */
import type { Session, WorkspaceMode } from "../session.ts";
import type { Tenant } from "../tenants.ts";
import { type Tier, tiers } from "../tiers.ts";
import { quantityValue } from "./quantity.ts";

/** Resources of the container `agent`: the tier sets the limits. */
export const agentResources = (tier: Tier) => ({
  requests: { cpu: "500m", memory: "1Gi" },
  limits: { ...tiers[tier] },
});

/**
 * The limit for ephemeral storage, in bytes, of the container `agent` of a session with an ephemeral workspace. The kubelet counts
 * this workspace as ephemeral storage of the pod, so the default of the tenant's LimitRange (2 GiB for /tmp, logs and other files) is
 * too low.
 */
export const ephemeralLimit = ({ workspace }: Pick<Tenant, "workspace">): string =>
  String(Math.ceil(quantityValue(workspace.size)) + 2 * 1024 ** 3);

/** Resources of the container `vnc-proxy`, which exists in sessions with a desktop. */
export const proxyResources = {
  requests: { cpu: "50m", memory: "64Mi" },
  limits: { cpu: "500m", memory: "256Mi" },
};

/** Resources of the init container that copies berthd. The container ends before the other containers start. */
export const copyResources = {
  requests: { cpu: "50m", memory: "32Mi" },
  limits: { cpu: "500m", memory: "64Mi" },
};

/** The resource names that a tenant's quota counts. */
export const countedResources = [
  "requestsCpu",
  "limitsCpu",
  "requestsMemory",
  "limitsMemory",
  "pods",
  "storage",
] as const;
export type Amounts = Record<(typeof countedResources)[number], number>;

export const nothing: Amounts = {
  requestsCpu: 0,
  limitsCpu: 0,
  requestsMemory: 0,
  limitsMemory: 0,
  pods: 0,
  storage: 0,
};

/**
 * How much of the quota the session's pod uses. Kubernetes counts the larger of two amounts: the requests of the largest
 * init container, and the requests of all containers that run at the same time, including the sidecar. It counts the limits
 * in the same way. The init container that copies berthd would count only if it requested more than all the others together.
 * That init container requests less. So the result is right for every pod, also for a pod without that init container.
 */
export function podAmounts({ tier, desktop }: Pick<Session, "tier" | "desktop">): Amounts {
  const together = [agentResources(tier), ...(desktop ? [proxyResources] : [])];
  const counted = (of: "requests" | "limits", what: "cpu" | "memory") =>
    Math.max(
      quantityValue(copyResources[of][what]),
      together.reduce((sum, one) => sum + quantityValue(one[of][what]), 0),
    );
  return {
    requestsCpu: counted("requests", "cpu"),
    limitsCpu: counted("limits", "cpu"),
    requestsMemory: counted("requests", "memory"),
    limitsMemory: counted("limits", "memory"),
    pods: 1,
    storage: 0,
  };
}

/** How much of the quota the session's workspace uses, whether or not the session has a pod. */
export function workspaceAmounts(mode: WorkspaceMode, tenant: Tenant): Amounts {
  return { ...nothing, storage: mode === "persistent" ? quantityValue(tenant.workspace.size) : 0 };
}

/** The tenant's quota as numbers. */
export function quotaOf({ quota }: Tenant): Amounts {
  return Object.fromEntries(countedResources.map((name) => [name, quantityValue(quota[name])])) as Amounts;
}

/** How much of the quota a session uses: its pod and its workspace. */
export const sessionAmounts = (session: Pick<Session, "tier" | "desktop" | "workspaceMode">, tenant: Tenant): Amounts =>
  add(podAmounts(session), workspaceAmounts(session.workspaceMode, tenant));

/** The names (as in a ResourceQuota) of the resources whose amounts exceed the quota; undefined if none does. */
export function exceeding(amounts: Amounts, quota: Amounts): string | undefined {
  // The comparison has a tolerance, because sums of decimal fractions are not exact in binary.
  const over = countedResources.filter((name) => amounts[name] > quota[name] * (1 + 1e-9));
  return over.length === 0 ? undefined : over.map((name) => quotaNames[name]).join(", ");
}

const quotaNames = {
  requestsCpu: "requests.cpu",
  limitsCpu: "limits.cpu",
  requestsMemory: "requests.memory",
  limitsMemory: "limits.memory",
  pods: "pods",
  storage: "requests.storage",
} as const;

export function add(a: Amounts, b: Amounts, times = 1): Amounts {
  const sum = { ...a };
  for (const name of countedResources) sum[name] += times * b[name];
  return sum;
}
