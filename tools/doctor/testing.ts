/** A healthy stack and cluster, for tests of the doctor's checks. */
import { type Config, configSchema } from "../../infra/config/config.ts";
import type { Seen } from "../cluster/seen.ts";
import { kind } from "../cluster/testing.ts";
import type { Outputs, Patient } from "./check.ts";
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
    prometheus: { kubelets: { nodes: ["172.18.0.0/24"] } },
    tenants: [{ name: "acme" }],
    ...values,
  });

export const outputs: Outputs = {
  apiUrl: "https://berth.acme.io",
  apiImage: `ghcr.io/acme/berth/api@sha256:${"0".repeat(64)}`,
  tenantKeys: { acme: { default: "berth_acme_key" } },
};

const tries: Tries = {
  docker: async () => true,
  probe: async () => ({
    freeToOpen: "open",
    freeToClosed: "blocked",
    sessionToOpen: "blocked",
    sessionDns: "open",
    workerToApi: "open",
  }),
  bind: async () => {},
  measuredNodes: async () => 2,
  workloads: async () => [{ name: "Deployment api", ready: 1, wanted: 1, reason: "" }],
  images: async () => {},
  scalers: async () => [{ name: "api", isActive: true, message: "" }],
  session: async () => ({ id: "1", seconds: 4, desktop: [1280, 800] }),
  status: async () => 200,
};

/** Returns a patient with which every check succeeds. */
export const healthy = (
  more: { seen?: Partial<Seen>; config?: Record<string, unknown>; tries?: Partial<Tries> } = {},
): Patient => ({
  stack: "mine",
  config: config(more.config),
  seen: { ...seen, ...more.seen },
  outputs,
  tries: { ...tries, ...more.tries },
});
