/** Tests which nodes can run a pod, against the rules of Kubernetes' scheduler. */
import type { V1NodeSelectorRequirement, V1Toleration } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { obstacle } from "./nodes.ts";

const node = {
  name: "one",
  labels: { pool: "gpu", cores: "16" },
  taints: [
    { key: "dedicated", value: "gpu", effect: "NoSchedule" },
    { key: "quiet", effect: "PreferNoSchedule" },
  ],
};
const open = { ...node, taints: [] };
const placement = (more: object = {}) => ({ nodeSelector: {}, tolerations: [], affinity: null, ...more });

test("a pod needs every label of its selector", () => {
  expect(obstacle(placement({ nodeSelector: { pool: "gpu" } }), open)).toBeUndefined();
  expect(obstacle(placement({ nodeSelector: { pool: "cpu" } }), open)).toBe("does not have the label pool=cpu");
  expect(obstacle(placement({ nodeSelector: { zone: "a" } }), open)).toBe("does not have the label zone=a");
});

test.each<[V1Toleration[], boolean]>([
  [[], false],
  [[{ key: "dedicated", value: "gpu" }], true],
  [[{ key: "dedicated", value: "gpu", effect: "NoSchedule" }], true],
  [[{ key: "dedicated", value: "gpu", effect: "NoExecute" }], false],
  [[{ key: "dedicated", value: "cpu" }], false],
  [[{ key: "dedicated", operator: "Exists" }], true],
  [[{ operator: "Exists" }], true],
  [[{ key: "other", operator: "Exists" }], false],
])("the tolerations %j tolerate the taint: %s", (tolerations, isTolerated) => {
  expect(obstacle(placement({ tolerations }), node)).toBe(
    isTolerated ? undefined : "has the taint dedicated=gpu:NoSchedule",
  );
});

test.each<[V1NodeSelectorRequirement, boolean]>([
  [{ key: "pool", operator: "In", values: ["cpu", "gpu"] }, true],
  [{ key: "pool", operator: "In", values: ["cpu"] }, false],
  [{ key: "zone", operator: "In", values: ["a"] }, false],
  [{ key: "pool", operator: "NotIn", values: ["gpu"] }, false],
  [{ key: "zone", operator: "NotIn", values: ["a"] }, true],
  [{ key: "pool", operator: "Exists" }, true],
  [{ key: "zone", operator: "Exists" }, false],
  [{ key: "pool", operator: "DoesNotExist" }, false],
  [{ key: "cores", operator: "Gt", values: ["8"] }, true],
  [{ key: "cores", operator: "Lt", values: ["8"] }, false],
  [{ key: "cores", operator: "Near", values: ["8"] }, false],
])("the requirement %j is met: %s", (expression, isMet) => {
  const required = (...nodeSelectorTerms: object[]) =>
    placement({
      affinity: { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms } } },
    });
  const met = isMet ? undefined : "does not match the affinity";
  expect(obstacle(required({ matchExpressions: [expression] }), open)).toBe(met);
  // One term is enough, and a term needs all its requirements.
  const here = { key: "metadata.name", operator: "In", values: ["one"] };
  expect(obstacle(required({ matchExpressions: [expression] }, { matchFields: [here] }), open)).toBeUndefined();
  expect(obstacle(required({ matchExpressions: [expression], matchFields: [here] }), open)).toBe(met);
});
