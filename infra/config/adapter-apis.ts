import type { Config } from "./config.ts";

/** A part of the Kubernetes API, for example custom.metrics.k8s.io in version v1beta1. */
export interface ServedApi {
  group: string;
  version: string;
}

/**
 * What the stack's adapter serves: Berth's own autoscalers' metrics, and by config CPU and memory. Nothing, and there is no
 * adapter. KEDA asks Prometheus itself, and serves external.metrics.k8s.io, of which a cluster takes one server.
 */
export const adapterApis = ({ adapter, autoscaler }: Pick<Config, "adapter" | "autoscaler">): ServedApi[] =>
  adapter.enabled
    ? [
        ...(autoscaler === "hpa" ? ["custom.metrics.k8s.io", "external.metrics.k8s.io"] : []),
        ...(adapter.resourceMetrics ? ["metrics.k8s.io"] : []),
      ].map((group) => ({ group, version: "v1beta1" }))
    : [];
