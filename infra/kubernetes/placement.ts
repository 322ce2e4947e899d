import type { V1Affinity } from "@kubernetes/client-node";
import type { types } from "@pulumi/kubernetes";
import type { Placement } from "../config/placement.ts";
import { spread } from "./spread.ts";

type Spec = types.input.core.v1.PodSpec;

/**
 * The fields of a pod's spec that decide on which nodes the pod runs.
 * @param spreadOver the labels of pods; the scheduler prefers other nodes and zones than theirs. Default: no such preference.
 */
export function placed(
  { nodeSelector, tolerations, affinity }: Placement,
  spreadOver?: Record<string, string>,
): Pick<Spec, "nodeSelector" | "tolerations" | "affinity" | "topologySpreadConstraints"> {
  const apart = spreadOver && spread(spreadOver);
  const both = apart ? withPreferences(affinity ?? {}, apart.affinity) : affinity;
  return {
    nodeSelector,
    ...(tolerations.length > 0 && { tolerations }),
    ...(apart && { topologySpreadConstraints: apart.topologySpreadConstraints }),
    ...(both && { affinity: both }),
  };
}

/** The affinity of the config, with the preferences of `spread` in addition. */
const withPreferences = (own: V1Affinity, { podAntiAffinity }: ReturnType<typeof spread>["affinity"]): V1Affinity => ({
  ...own,
  podAntiAffinity: {
    ...own.podAntiAffinity,
    preferredDuringSchedulingIgnoredDuringExecution: [
      ...podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution,
      ...(own.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []),
    ],
  },
});

/**
 * The part of a placement that a DaemonSet can follow: the rules about nodes. The rules about other pods (podAffinity and
 * podAntiAffinity) are left out, because a DaemonSet has a pod on every chosen node.
 */
export const onEveryNode = ({ affinity, ...placement }: Placement): Placement => ({
  ...placement,
  affinity: affinity?.nodeAffinity ? { nodeAffinity: affinity.nodeAffinity } : null,
});
