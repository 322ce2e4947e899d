/** Whether a tenant's warm sessions fit into the tenant's quota. */
import { type Amounts, add, nothing, podAmounts } from "../../runtime/src/domain/quota/quantities.ts";
import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import { tierNames } from "../../runtime/src/domain/tiers.ts";
import { sizeOf, type WarmPoolsConfig } from "./tenant-images.ts";

interface Warm {
  quota: Record<"requestsCpu" | "limitsCpu" | "requestsMemory" | "limitsMemory" | "storage", string> & {
    volumes: number;
  };
  workspace: { mode: "persistent" | "ephemeral"; size: string };
  warmPools: WarmPoolsConfig;
  images: { desktop: boolean; warmPools: WarmPoolsConfig }[];
}

const inGi = (bytes: number) => `${Number((bytes / 1024 ** 3).toFixed(2))}Gi`;
const plain = (amount: number) => String(Number(amount.toFixed(3)));

/**
 * What all warm sessions of the tenant need beyond the quota, one text for each resource, for example `quota.limitsCpu is 40, and
 * the sessions need 45`. The number of pods is not compared. Empty: the sessions fit.
 */
export function beyondQuota({ quota, workspace, warmPools, images }: Warm): string[] {
  // The platform's own image has a desktop.
  const pools = [{ desktop: true, warmPools }, ...images];
  const pods = pools
    .flatMap(({ desktop, warmPools }) => tierNames.map((tier) => ({ tier, desktop, count: warmPools[tier] })))
    .reduce<Amounts>((sum, { count, ...session }) => add(sum, podAmounts(session), count), nothing);
  const volumes = workspace.mode === "ephemeral" ? 0 : pools.reduce((sum, { warmPools }) => sum + sizeOf(warmPools), 0);
  const needed = [
    ["requestsCpu", pods.requestsCpu, quota.requestsCpu, plain],
    ["limitsCpu", pods.limitsCpu, quota.limitsCpu, plain],
    ["requestsMemory", pods.requestsMemory, quota.requestsMemory, inGi],
    ["limitsMemory", pods.limitsMemory, quota.limitsMemory, inGi],
    ["storage", volumes * quantityValue(workspace.size), quota.storage, inGi],
    ["volumes", volumes, String(quota.volumes), plain],
  ] as const;
  return needed
    .filter(([, amount, most]) => amount > quantityValue(most) * (1 + 1e-9)) // sums of fractions are not exact in binary
    .map(([key, amount, most, shown]) => `quota.${key} is ${most}, and the sessions need ${shown(amount)}`);
}
