/** A healthy stack and cluster, for tests of the doctor's checks. */
import { type Config, configSchema } from "../../infra/config/config.ts";
import type { Seen } from "../cluster/seen.ts";
import { kind } from "../cluster/testing.ts";
import type { Outputs, Patient } from "./check.ts";
import type { Facts } from "./facts.ts";
import type { Tries } from "./tries.ts";

const api = (group: string, service: string) => ({ name: `v1beta1.${group}`, group, service });

const seen: Seen = { ...kind, apis: [...kind.apis, api("metrics.k8s.io", "kube-system/metrics-server")] };

export const config = (values: Record<string, unknown> = {}): Config =>
  configSchema.parse({
    context: "here",
    clusterId: kind.id,
    registry: "ghcr.io/acme/berth",
    platform: "linux/arm64",
    publicUrl: "https://berth.acme.io",
    kubernetesApi: [{ cidr: "172.18.0.2/32", port: 6443 }],
    prometheus: { kubelets: { nodes: ["172.18.0.0/24"] } },
    tenants: [{ name: "acme" }],
    ...values,
  });

export const outputs: Outputs = {
  apiUrl: "https://berth.acme.io",
  apiImage: `ghcr.io/acme/berth/api@sha256:${"0".repeat(64)}`,
  tenantKeys: { acme: { default: "berth_acme_key" } },
};

export const facts: Facts = {
  nodes: seen.nodes.map(({ name, architecture }) => ({
    name,
    labels: { "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture },
    taints: [],
  })),
  addsNodes: false,
  priorityClasses: ["berth-platform", "berth-sessions"].map((name) => ({ name, stack: "mine" })),
  namespaces: [],
  secrets: [],
  missingKinds: [],
  issuers: [],
  autoscalers: [],
  refused: [],
};

const tries: Tries = {
  docker: async () => true,
  facts: async () => facts,
  probe: async () => ({
    freeToOpen: "open",
    freeToClosed: "blocked",
    sessions: [{ of: "the sessions of acme", toOpen: "open", toClosed: "blocked", dns: "open" }],
    workerToApi: "open",
  }),
  bind: async () => {},
  measuredNodes: async () => 2,
  workloads: async () => [{ name: "Deployment api", ready: 1, wanted: 1, reason: "" }],
  images: async () => {},
  scalers: async () => {},
  session: async () => ({ id: "1", seconds: 4, desktop: [1280, 800], keptUntil: null }),
  status: async () => 200,
};

/** Returns a patient with which every check succeeds. @param more.facts replace `tries.facts` */
export const healthy = (
  more: { seen?: Partial<Seen>; config?: Record<string, unknown>; facts?: Partial<Facts>; tries?: Partial<Tries> } = {},
): Patient => ({
  stack: "mine",
  config: config(more.config),
  seen: { ...seen, ...more.seen },
  outputs,
  tries: { ...tries, facts: async () => ({ ...facts, ...more.facts }), ...more.tries },
});
