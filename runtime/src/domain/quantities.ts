/** What a session asks of the cluster, and what it counts under its tenant's quota; pure. */
import type { WorkspaceMode } from "./session.ts";
import type { Tenant } from "./tenants.ts";
import { type Tier, tiers } from "./tiers.ts";

/** Of the container `agent`: the tier is its limits. */
export const agentResources = (tier: Tier) => ({
  requests: { cpu: "500m", memory: "1Gi" },
  limits: { ...tiers[tier] },
});

/** Of the container `vnc-proxy`. */
export const proxyResources = {
  requests: { cpu: "50m", memory: "64Mi" },
  limits: { cpu: "500m", memory: "256Mi" },
};

/** The names under which a tenant's quota counts. */
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

/** What the session's pod counts. */
export function podAmounts(tier: Tier): Amounts {
  const agent = agentResources(tier);
  const sum = (of: "requests" | "limits", what: "cpu" | "memory") =>
    amount(agent[of][what]) + amount(proxyResources[of][what]);
  return {
    requestsCpu: sum("requests", "cpu"),
    limitsCpu: sum("limits", "cpu"),
    requestsMemory: sum("requests", "memory"),
    limitsMemory: sum("limits", "memory"),
    pods: 1,
    storage: 0,
  };
}

/** What the session's workspace counts, whether or not its pod is up. */
export function workspaceAmounts(mode: WorkspaceMode, tenant: Tenant): Amounts {
  return { ...nothing, storage: mode === "persistent" ? amount(tenant.workspace.size) : 0 };
}

/** The tenant's quota. */
export function quotaOf({ quota }: Tenant): Amounts {
  return Object.fromEntries(countedResources.map((name) => [name, amount(quota[name])])) as Amounts;
}

/** What a session counts in all. */
export const sessionAmounts = (tier: Tier, mode: WorkspaceMode, tenant: Tenant): Amounts =>
  add(podAmounts(tier), workspaceAmounts(mode, tenant));

/** Where the amounts go beyond the quota, by its name in a ResourceQuota; undefined: nowhere. */
export function exceeding(amounts: Amounts, quota: Amounts): string | undefined {
  // A hair's breadth, for tenths don't add up exactly.
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
  return Object.fromEntries(countedResources.map((name) => [name, a[name] + times * b[name]])) as Amounts;
}

const suffixes: Record<string, number> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** An amount as Kubernetes writes it, e.g. `500m`, `1.5Gi`, `2e3`, as a number. Throws if it isn't one. */
export function amount(text: string): number {
  const [, digits, suffix = ""] = /^([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]{0,2})$/.exec(text) ?? [];
  const value = Number(digits) * (suffixes[suffix] ?? Number.NaN);
  if (digits === undefined || Number.isNaN(value)) throw new Error(`${JSON.stringify(text)} is no amount`);
  return value;
}
