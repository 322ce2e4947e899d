/** Translates the rules of a config key `egress` into openings (allowed connections) of network policies. */
import { exceptionsIn } from "../config/cidr.ts";
import type { EgressRule } from "../config/egress.ts";
import { type Opening, podsIn, tcp } from "./network.ts";

/**
 * The openings for the rules. Internal ranges (cidr.ts) and metadata services that are smaller parts of a rule's range stay
 * closed. But if the rule's range itself lies in an internal range, the rule opens its range.
 * @param closed more ranges that stay closed: the addresses of the Kubernetes API and of the nodes
 */
export const egressOpenings = (rules: EgressRule[], closed: string[]): Opening[] =>
  rules.flatMap(({ cidr, pods, ports }) => [
    ...(cidr === null
      ? []
      : [{ to: [{ ipBlock: { cidr, except: exceptionsIn(cidr, closed) } }], ports: tcp(...ports) }]),
    ...(pods === null ? [] : [{ to: [podsIn(pods.namespace, pods.labels)], ports: tcp(...ports) }]),
  ]);
