import { expect, test } from "vitest";
import { type Config, parseConfig } from "./config.ts";
import { placements, sessionPlacement } from "./placement.ts";

const needed = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };

const parsed = (values: Record<string, unknown>) =>
  parseConfig({
    ...needed,
    ...Object.fromEntries(Object.entries(values).map(([key, value]) => [key, JSON.stringify(value)])),
  });
const configOf = (values: Record<string, unknown>) => {
  const { config, faults } = parsed(values);
  expect(faults).toBeUndefined();
  return config as Config;
};

const linux = { "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64" };
const anywhere = { nodeSelector: linux, tolerations: [], affinity: null };

test("without a placement, pods run on every node with the operating system and architecture of the images", () => {
  const config = configOf({ tenants: [{ name: "acme" }] });
  expect(placements(config)).toEqual({ platform: anywhere, stores: anywhere, sessions: anywhere });
  expect(sessionPlacement(config, config.tenants[0]?.placement as never)).toEqual(anywhere);
  const { platform } = placements({ ...config, platform: "linux/arm64" });
  expect(platform.nodeSelector).toEqual({ "kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64" });
});

const toleration = { key: "dedicated", operator: "Equal", value: "berth", effect: "NoSchedule" };

test("stores follow the platform, tenants follow `placement.sessions`, and each key can be set alone", () => {
  const config = configOf({
    placement: {
      platform: { nodeSelector: { pool: "berth" }, tolerations: [toleration] },
      stores: { nodeSelector: { pool: "stores" } },
      sessions: { nodeSelector: { pool: "sessions" }, tolerations: [{ operator: "Exists" }] },
    },
    tenants: [
      { name: "acme", placement: { architecture: "arm64", affinity: { podAffinity: {} } } },
      { name: "gpu", placement: { nodeSelector: { gpu: true }, tolerations: [], architecture: "any" } },
    ],
  });
  const { platform, stores, sessions } = placements(config);
  expect(platform).toEqual({ ...anywhere, nodeSelector: { ...linux, pool: "berth" }, tolerations: [toleration] });
  expect(stores).toEqual({ ...platform, nodeSelector: { ...linux, pool: "stores" } });
  expect(config.tenants.map(({ placement }) => sessionPlacement(config, placement))).toEqual([
    {
      ...sessions,
      nodeSelector: { ...sessions.nodeSelector, "kubernetes.io/arch": "arm64" },
      affinity: { podAffinity: {} },
    },
    { nodeSelector: { "kubernetes.io/os": "linux", gpu: "true" }, tolerations: [], affinity: null },
  ]);
});

const term = { key: "pool", operator: "In", values: ["a"] };
const required = "requiredDuringSchedulingIgnoredDuringExecution";
const podTerm = (expression: object) => ({
  topologyKey: "kubernetes.io/hostname",
  labelSelector: { matchExpressions: [expression] },
});
const preferred = "preferredDuringSchedulingIgnoredDuringExecution";

test.each<[string, Record<string, unknown>, string]>([
  [
    "an architecture in the node selector",
    { nodeSelector: { "kubernetes.io/arch": "arm64" } },
    'nodeSelector.kubernetes.io/arch: "arm64" is no choice of `nodeSelector`; set `architecture` instead',
  ],
  ["an unknown architecture", { architecture: "x86_64" }, 'architecture: "x86_64" is none of amd64, arm64, any'],
  [
    "a label's value that is too long",
    { nodeSelector: { pool: "a".repeat(64) } },
    `nodeSelector.pool: "${"a".repeat(64)}" is not the value of a label: at most 63 characters of A-Z, a-z, 0-9, -, _ and .`,
  ],
  [
    "a toleration of every taint with the wrong operator",
    { tolerations: [{ value: "berth" }] },
    "tolerations[0]: {…} has no `key`, which only the operator Exists may leave out",
  ],
  [
    "an effect that does not exist",
    { tolerations: [{ ...toleration, effect: "NoStart" }] },
    'tolerations[0].effect: "NoStart" is none of NoSchedule, PreferNoSchedule, NoExecute',
  ],
  [
    "a misspelled key deep in an affinity",
    { affinity: { nodeAffinity: { [preferred]: [{ weight: 1, preferences: { matchExpressions: [term] } }] } } },
    `affinity.nodeAffinity.${preferred}[0].preference: is missing`,
  ],
  [
    "an operator without the values that it needs",
    {
      affinity: {
        nodeAffinity: { [required]: { nodeSelectorTerms: [{ matchExpressions: [{ ...term, values: [] }] }] } },
      },
    },
    `affinity.nodeAffinity.${required}.nodeSelectorTerms[0].matchExpressions[0]: {…} has other values than the operator In takes, which is one value or more; correct \`values\``,
  ],
  [
    "an operator with values that it does not take",
    { affinity: { podAntiAffinity: { [required]: [podTerm({ ...term, operator: "Exists" })] } } },
    `affinity.podAntiAffinity.${required}[0].labelSelector.matchExpressions[0]: {…} has other values than the operator Exists takes, which is no values; correct \`values\``,
  ],
  [
    "a comparison with text",
    {
      affinity: {
        nodeAffinity: { [preferred]: [{ weight: 1, preference: { matchExpressions: [{ ...term, operator: "Gt" }] } }] },
      },
    },
    `affinity.nodeAffinity.${preferred}[0].preference.matchExpressions[0]: {…} has other values than the operator Gt takes, which is one whole number; correct \`values\``,
  ],
  [
    "a comparison of pods' labels",
    { affinity: { podAffinity: { [required]: [podTerm({ ...term, operator: "Gt", values: [1] })] } } },
    `affinity.podAffinity.${required}[0].labelSelector.matchExpressions[0].operator: "Gt" is none of In, NotIn, Exists, DoesNotExist`,
  ],
  [
    "a weight out of range",
    { affinity: { nodeAffinity: { [preferred]: [{ weight: 101, preference: { matchExpressions: [term] } }] } } },
    `affinity.nodeAffinity.${preferred}[0].weight: 101 is above 100`,
  ],
])("%s gives a fault with the path, the value and the rule", (_, platform, line) => {
  expect(parsed({ placement: { platform } }).faults).toContain(`placement.platform.${line}`);
});

test("operators with the values that they take are accepted", () => {
  const matchExpressions = [
    { key: "pool", operator: "NotIn", values: ["a"] },
    { key: "gpu", operator: "Exists" },
    { key: "cores", operator: "Gt", values: [8] },
  ];
  const nodeAffinity = { [required]: { nodeSelectorTerms: [{ matchExpressions }] } };
  expect(parsed({ placement: { platform: { affinity: { nodeAffinity } } } }).faults).toBeUndefined();
});
