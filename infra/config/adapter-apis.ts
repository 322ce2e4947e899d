import type { Config } from "./config.ts";

/** A part of the Kubernetes API, for example custom.metrics.k8s.io in version v1beta1. */
export interface ServedApi {
  group: string;
  version: string;
}

/**
 * The parts of the Kubernetes API that the stack's adapter serves: the metrics of Berth's autoscalers and, if the config says
 * so, CPU and memory. If the list is empty, the stack has no adapter. With KEDA, the adapter serves no custom or external
 * metrics, because KEDA queries Prometheus itself and is the only server of external.metrics.k8s.io that a cluster allows.
 */
export const adapterApis = ({ adapter, autoscaler }: Pick<Config, "adapter" | "autoscaler">): ServedApi[] =>
  adapter.enabled
    ? [
        ...(autoscaler === "hpa" ? ["custom.metrics.k8s.io", "external.metrics.k8s.io"] : []),
        ...(adapter.resourceMetrics ? ["metrics.k8s.io"] : []),
      ].map((group) => ({ group, version: "v1beta1" }))
    : [];
