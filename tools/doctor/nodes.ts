/** Which nodes can run a pod, by the rules of Kubernetes' scheduler about labels and taints. Everything here is pure. */
import type { V1NodeSelectorRequirement, V1NodeSelectorTerm, V1Taint, V1Toleration } from "@kubernetes/client-node";
import type { Placement } from "../../infra/config/placement.ts";

export interface NodeFacts {
  name: string;
  labels: Record<string, string>;
  taints: Pick<V1Taint, "key" | "value" | "effect">[];
}

/** Why the node can't run pods of the placement, for example `has the taint dedicated=gpu:NoSchedule`; undefined if it can. */
export function obstacle({ nodeSelector, tolerations, affinity }: Placement, node: NodeFacts): string | undefined {
  const [label] = Object.entries(nodeSelector).filter(([key, value]) => node.labels[key] !== value);
  if (label) return `does not have the label ${label[0]}=${label[1]}`;
  const terms = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (terms && !terms.some((term) => matches(term, node))) return "does not match the affinity";
  const taint = node.taints.find(
    (one) => one.effect !== "PreferNoSchedule" && !tolerations.some((toleration) => tolerates(toleration, one)),
  );
  if (taint) return `has the taint ${taint.key}${taint.value ? `=${taint.value}` : ""}:${taint.effect}`;
  return undefined;
}

function tolerates({ key, operator = "Equal", value = "", effect }: V1Toleration, taint: NodeFacts["taints"][number]) {
  if (effect && effect !== taint.effect) return false;
  // Without a key, the operator is Exists, and the toleration is for every taint.
  if (!key) return operator === "Exists";
  return key === taint.key && (operator === "Exists" || value === (taint.value ?? ""));
}

/** Whether a node matches all requirements of the term. A term without requirements matches no node. */
function matches(
  { matchExpressions = [], matchFields = [] }: V1NodeSelectorTerm,
  { name, labels }: NodeFacts,
): boolean {
  const all = [
    ...matchExpressions.map((one) => isMet(one, labels[one.key])),
    // metadata.name is the only field that Kubernetes supports here.
    ...matchFields.map((one) => isMet(one, one.key === "metadata.name" ? name : undefined)),
  ];
  return all.length > 0 && all.every(Boolean);
}

function isMet({ operator, values = [] }: V1NodeSelectorRequirement, value: string | undefined): boolean {
  const limit = Number(values[0]);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > limit;
    case "Lt":
      return value !== undefined && Number(value) < limit;
    default:
      return false;
  }
}
