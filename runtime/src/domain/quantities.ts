/** What a session asks of the cluster, and what it counts under its tenant's quota; pure. */
import { quantityToScalar } from "@kubernetes/client-node/dist/util.js";
import type { Session, WorkspaceMode } from "./session.ts";
import type { Tenant } from "./tenants.ts";
import { type Tier, tiers } from "./tiers.ts";

/** Of the container `agent`: the tier is its limits. */
export const agentResources = (tier: Tier) => ({
  requests: { cpu: "500m", memory: "1Gi" },
  limits: { ...tiers[tier] },
});

/** Of the container `vnc-proxy`, which sessions with a desktop have. */
export const proxyResources = {
  requests: { cpu: "50m", memory: "64Mi" },
  limits: { cpu: "500m", memory: "256Mi" },
};

/** Of the init container that copies berthd, which ends before the others begin. */
export const copyResources = {
  requests: { cpu: "50m", memory: "32Mi" },
  limits: { cpu: "500m", memory: "64Mi" },
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

/**
 * What the session's pod counts. Kubernetes takes the larger one of what an init container asks for and what the containers
 * ask for that run beside one another, the sidecar among them. So the copy of berthd would count only if it asked for more
 * than all of them, and it is looked at whether or not the pod has it.
 */
export function podAmounts({ tier, desktop }: Pick<Session, "tier" | "desktop">): Amounts {
  const together = [agentResources(tier), ...(desktop ? [proxyResources] : [])];
  const counted = (of: "requests" | "limits", what: "cpu" | "memory") =>
    Math.max(
      amount(copyResources[of][what]),
      together.reduce((sum, one) => sum + amount(one[of][what]), 0),
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

/** What the session's workspace counts, whether or not its pod is up. */
export function workspaceAmounts(mode: WorkspaceMode, tenant: Tenant): Amounts {
  return { ...nothing, storage: mode === "persistent" ? amount(tenant.workspace.size) : 0 };
}

/** The tenant's quota. */
export function quotaOf({ quota }: Tenant): Amounts {
  return Object.fromEntries(countedResources.map((name) => [name, amount(quota[name])])) as Amounts;
}

/** What a session counts in all. */
export const sessionAmounts = (session: Pick<Session, "tier" | "desktop" | "workspaceMode">, tenant: Tenant): Amounts =>
  add(podAmounts(session), workspaceAmounts(session.workspaceMode, tenant));

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

const pattern = /^(\d+(?:\.\d+)?|\.\d+)(?:([eE][+-]?\d+)|(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/;

/**
 * The number that a Kubernetes quantity stands for: `500m` → 0.5, `1.5Gi` → 1610612736. What the stack's config takes for a
 * quantity (infra/config/quantity.ts), this takes too, with the same value; a test holds both equal.
 * @throws Error where the text is none
 */
export function amount(text: string): number {
  const [, number, exponent = "", unit = ""] = pattern.exec(text) ?? [];
  if (number === undefined) throw new Error(`${JSON.stringify(text)} is no amount`);
  // Of a whole number, because client-node takes no fraction with a suffix.
  return Number(number + exponent) * Number(quantityToScalar(`1${unit}`));
}
