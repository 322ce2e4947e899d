/** Openings of network policies for the rules of an `egress`. */
import { exceptionsIn } from "../config/cidr.ts";
import type { EgressRule } from "../config/network.ts";
import { type Opening, podsIn, tcp } from "./network.ts";

/**
 * The openings for the rules. In each address range, private ranges and metadata services stay closed, unless the range is a
 * part of a private range itself.
 * @param closed more ranges that stay closed: the addresses of the Kubernetes API and of the nodes
 */
export const egressOpenings = (rules: EgressRule[], closed: string[]): Opening[] =>
  rules.flatMap(({ cidr, pods, ports }) => [
    ...(cidr === null
      ? []
      : [{ to: [{ ipBlock: { cidr, except: exceptionsIn(cidr, closed) } }], ports: tcp(...ports) }]),
    ...(pods === null ? [] : [{ to: [podsIn(pods.namespace, pods.labels)], ports: tcp(...ports) }]),
  ]);
