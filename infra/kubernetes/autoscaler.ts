/**
 * The autoscaler of a Deployment, which sets the number of the Deployment's pods: a HorizontalPodAutoscaler, or a ScaledObject
 * for KEDA. With `autoscaler: off`, the Deployment has no autoscaler and a fixed number of pods.
 */
import type { IScaledObjectSpec } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObjectSpec";
import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { secondsOf } from "../config/duration.ts";
import type { Autoscaler, AutoscalingConfig } from "../config/platform.ts";

type HpaSpec = types.input.autoscaling.v2.HorizontalPodAutoscalerSpec;

type Trigger = IScaledObjectSpec["triggers"][number];

/** A measured load and its target value, in two forms: `metric` for a HorizontalPodAutoscaler, `trigger` for KEDA. */
export interface Load {
  metric: types.input.autoscaling.v2.MetricSpec;
  trigger: pulumi.Input<Trigger>;
}

export interface AutoscalerArgs {
  kind: Autoscaler;
  deployment: k8s.apps.v1.Deployment;
  /** The metadata of the Deployment. Its autoscaler gets the same metadata. */
  metadata: { name: string; namespace: pulumi.Input<string>; labels: Record<string, string> };
  config: AutoscalingConfig;
  loads: Load[];
}

/**
 * The field `replicas` of a Deployment. With an autoscaler the field is left out, because each `up` would otherwise reset the
 * number of pods that the autoscaler has set.
 */
export const replicas = (kind: Autoscaler, { min }: AutoscalingConfig): { replicas?: number } =>
  kind === "off" ? { replicas: min } : {};

/** Makes the autoscaler of a Deployment, or nothing if the number of pods is fixed. */
export function makeAutoscaler(name: string, args: AutoscalerArgs, opts: pulumi.CustomResourceOptions): void {
  const { kind, deployment, metadata, config, loads } = args;
  if (kind === "hpa")
    new k8s.autoscaling.v2.HorizontalPodAutoscaler(
      name,
      { metadata, spec: hpaSpec(deployment.metadata.name, config, loads) },
      opts,
    );
  if (kind === "keda")
    new k8s.apiextensions.CustomResource(
      name,
      {
        apiVersion: "keda.sh/v1alpha1",
        kind: "ScaledObject",
        metadata,
        // In the spec, only the triggers with a query to Prometheus are Pulumi outputs. The targets for CPU
        // and memory are plain values, so that code in this program can read them from the spec without waiting for an output.
        spec: scaledObjectSpec(metadata.name, config, loads),
      },
      { ...opts, dependsOn: deployment },
    );
}

const hpaSpec = (deployment: pulumi.Input<string>, config: AutoscalingConfig, loads: Load[]): HpaSpec => ({
  scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: deployment },
  minReplicas: config.min,
  maxReplicas: config.max,
  metrics: loads.map(({ metric }) => metric),
  behavior: behavior(config),
});

/** The spec of a ScaledObject, from which KEDA makes the HorizontalPodAutoscaler `keda-hpa-<name>`. */
const scaledObjectSpec = (
  deployment: string,
  config: AutoscalingConfig,
  loads: Load[],
): Omit<IScaledObjectSpec, "triggers"> & { triggers: Load["trigger"][] } => ({
  scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: deployment },
  minReplicaCount: config.min,
  maxReplicaCount: config.max,
  triggers: loads.map(({ trigger }) => trigger),
  advanced: { horizontalPodAutoscalerConfig: { behavior: behavior(config) } },
});

const behavior = ({ up, down }: AutoscalingConfig) => ({
  scaleUp: {
    stabilizationWindowSeconds: seconds(up.window),
    policies: [{ type: "Pods", value: up.pods, periodSeconds: seconds(up.step) }],
  },
  scaleDown: {
    stabilizationWindowSeconds: seconds(down.window),
    policies: [{ type: "Percent", value: down.percent, periodSeconds: seconds(down.step) }],
  },
});

/** The mean CPU or memory use of the pods, in percent of their requests. */
export const utilization = (name: "cpu" | "memory", averageUtilization: number): Load => ({
  metric: { type: "Resource", resource: { name, target: { type: "Utilization", averageUtilization } } },
  trigger: { type: name, metricType: "Utilization", metadata: { value: String(averageUtilization) } },
});

/** A query to Prometheus whose result is one number. */
export interface PrometheusQuery {
  /** The address of Prometheus, for example http://prometheus.berth.svc:9090. */
  url: pulumi.Input<string>;
  /**
   * The PromQL query for the load of all pods together; KEDA divides the result by the number of pods. An empty result means
   * that the load is unknown, and KEDA does not change the number of pods.
   */
  query: string;
}

/** The mean of a metric that every pod reports about itself. */
export const podMetric = (name: string, averageValue: number, sum: PrometheusQuery): Load => ({
  metric: { type: "Pods", pods: { metric: { name }, target: average(averageValue) } },
  trigger: prometheusTrigger(averageValue, sum),
});

/**
 * A number that all pods share, such as the length of a queue, divided by the number of pods. A mean over the pods would be
 * wrong: every pod reports the whole number, so more pods would not lower the mean, and the autoscaler would add pods up to
 * the maximum.
 */
export const sharedMetric = (
  name: string,
  matchLabels: Record<string, string>,
  averageValue: number,
  whole: PrometheusQuery,
): Load => ({
  metric: {
    type: "External",
    external: { metric: { name, selector: { matchLabels } }, target: average(averageValue) },
  },
  trigger: prometheusTrigger(averageValue, whole),
});

const average = (value: number) => ({ type: "AverageValue", averageValue: String(value) });

const prometheusTrigger = (averageValue: number, { url, query }: PrometheusQuery): Load["trigger"] =>
  pulumi.output(url).apply((serverAddress) => ({
    type: "prometheus",
    metricType: "AverageValue",
    // By default KEDA treats an empty result as 0, and would remove pods while Prometheus has no measurements.
    metadata: { serverAddress, query, threshold: String(averageValue), ignoreNullValues: "false" },
  }));

const seconds = (text: string) => secondsOf(text) ?? 0;
