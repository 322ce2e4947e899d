/** Finds the nodes on which a stack's pods, and so the pods of the doctor's trials, run. Everything here is pure. */
import { isDeepStrictEqual } from "node:util";
import type { V1PodSpec } from "@kubernetes/client-node";
import type { Config } from "../../infra/config/config.ts";
import { type Placement, placements, sessionPlacement } from "../../infra/config/placement.ts";
import { onEveryNode } from "../../infra/kubernetes/placement.ts";

/** The nodes on which a group of pods runs. */
export interface Ground {
  /** Whose nodes these are, for messages, for example `the sessions of acme`. */
  of: string;
  /** The key of the config that selects the nodes. */
  key: string;
  placement: Placement;
  /** The RuntimeClass of the pods. A RuntimeClass may also select nodes, and its runtime may have a separate network stack. */
  runtimeClassName: string | null;
}

type Placed = Pick<Config, "placement" | "platform" | "tenants">;

const ground = (of: string, key: string, placement: Placement, runtimeClassName: string | null = null): Ground => ({
  of,
  key,
  placement,
  runtimeClassName,
});

export const platformGround = (config: Placed): Ground =>
  ground("the platform", "placement.platform", placements(config).platform);

export const storesGround = (config: Placed): Ground =>
  ground("the stores", "placement.stores", placements(config).stores);

/**
 * The grounds of the sessions of all tenants without `remove: true`, each ground once, with all its tenants. If there is no such
 * tenant, the list has the ground of `placement.sessions`. Never empty.
 */
export function sessionGrounds(config: Placed): Ground[] {
  const { tenants } = config;
  const all = tenants.map((tenant, index) => ({
    ...ground("", `tenants[${index}].placement`, sessionPlacement(config, tenant.placement), tenant.runtimeClassName),
    names: tenant.remove ? [] : [tenant.name],
  }));
  const distinct: typeof all = [];
  for (const one of all.filter(({ names }) => names.length > 0)) {
    const same = distinct.find((other) => isSame(one, other));
    if (same) same.names.push(...one.names);
    else distinct.push(one);
  }
  if (distinct.length === 0) return [ground("sessions", "placement.sessions", placements(config).sessions)];
  return distinct.map(({ names, ...one }) => {
    const isCommon = isDeepStrictEqual(one.placement, placements(config).sessions);
    return { ...one, of: `the sessions of ${names.join(", ")}`, key: isCommon ? "placement.sessions" : one.key };
  });
}

type Where = Pick<Ground, "placement" | "runtimeClassName">;

/** Whether pods of the two grounds run on the same nodes in the same way. */
const isSame = (one: Where, other: Where): boolean =>
  isDeepStrictEqual([one.placement, one.runtimeClassName], [other.placement, other.runtimeClassName]);

/** The architecture that the nodes must have; undefined if the pods may run on every architecture. */
export const architectureOf = ({ nodeSelector }: Placement): string | undefined => nodeSelector["kubernetes.io/arch"];

/** The fields of a pod's spec that put the pod on these nodes, without the rules that relate the pod to other pods. */
export function schedulingOf({
  placement,
  runtimeClassName,
}: Ground): Pick<V1PodSpec, "nodeSelector" | "tolerations" | "affinity" | "runtimeClassName"> {
  const { nodeSelector, tolerations, affinity } = onEveryNode(placement);
  return {
    nodeSelector,
    ...(tolerations.length > 0 && { tolerations }),
    ...(affinity && { affinity }),
    ...(runtimeClassName !== null && { runtimeClassName }),
  };
}

/** A volume that a stack needs, and the nodes from which pods use it. */
export interface NeededVolume {
  /** Null: the cluster's default StorageClass. */
  storageClass: string | null;
  ground: Ground;
}

/** The StorageClasses that the config's volumes name, each with the nodes of its pods. Each pair is in the list once. */
export function volumesOf(config: Placed & Pick<Config, "postgres" | "redis" | "prometheus">): NeededVolume[] {
  const { postgres, redis, prometheus, tenants } = config;
  const stores = storesGround(config);
  const ofStores = [
    ...(postgres.external ? [] : [postgres.volume, postgres.backup.volume]),
    ...(redis.external ? [] : [redis.volume]),
    prometheus.volume,
  ].map(({ storageClass }) => ({ storageClass, ground: stores }));
  const grounds = sessionGrounds(config);
  const ofSessions = tenants
    .filter(({ remove, workspace }) => !remove && workspace.mode === "persistent")
    .flatMap(({ workspace, runtimeClassName, placement: own }) => {
      const wanted = { placement: sessionPlacement(config, own), runtimeClassName };
      return grounds
        .filter((one) => isSame(one, wanted))
        .map((one) => ({ storageClass: workspace.storageClass, ground: one }));
    });
  const distinct: NeededVolume[] = [];
  for (const one of [...ofStores, ...ofSessions])
    if (!distinct.some((other) => other.storageClass === one.storageClass && isSame(other.ground, one.ground)))
      distinct.push(one);
  return distinct;
}
