/** What decides on the number of a Deployment's pods: Kubernetes' HorizontalPodAutoscaler, KEDA, or nothing. */
import type { IScaledObjectSpec } from "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObjectSpec";
import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { secondsOf } from "../config/duration.ts";
import type { Autoscaler, AutoscalingConfig } from "../config/platform.ts";

type HpaSpec = types.input.autoscaling.v2.HorizontalPodAutoscalerSpec;

type Trigger = IScaledObjectSpec["triggers"][number];

/** A load that the pods share, and how much of it each is to have: in the words of Kubernetes, and of KEDA. */
export interface Load {
  metric: types.input.autoscaling.v2.MetricSpec;
  trigger: pulumi.Input<Trigger>;
}

export interface AutoscalerArgs {
  kind: Autoscaler;
  deployment: k8s.apps.v1.Deployment;
  /** The Deployment's, and its autoscaler's too. */
  metadata: { name: string; namespace: pulumi.Input<string>; labels: Record<string, string> };
  config: AutoscalingConfig;
  loads: Load[];
}

/**
 * The number of pods that a Deployment says: none where an autoscaler decides, because each `up` would undo what the
 * autoscaler did.
 */
export const replicas = (kind: Autoscaler, { min }: AutoscalingConfig): { replicas?: number } =>
  kind === "off" ? { replicas: min } : {};

/** Makes the autoscaler of a Deployment; nothing where its number of pods is fixed. */
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
        // Known at once, so that what is done to all pods of the platform finds its percentages.
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

/** From it KEDA makes a HorizontalPodAutoscaler of its own, `keda-hpa-<name>`. */
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

/** The pods' mean use in percent of what they request. */
export const utilization = (name: "cpu" | "memory", averageUtilization: number): Load => ({
  metric: { type: "Resource", resource: { name, target: { type: "Utilization", averageUtilization } } },
  trigger: { type: name, metricType: "Utilization", metadata: { value: String(averageUtilization) } },
});

/** A question to Prometheus that has one number as its answer. */
export interface PrometheusQuery {
  /** For example http://prometheus.berth.svc:9090. */
  url: pulumi.Input<string>;
  /** The sum over all pods, in PromQL. No answer means that nobody knows, and the pods stay. */
  query: string;
}

/** The mean of a metric that every pod exports about itself. */
export const podMetric = (name: string, averageValue: number, sum: PrometheusQuery): Load => ({
  metric: { type: "Pods", pods: { metric: { name }, target: average(averageValue) } },
  trigger: prometheusTrigger(averageValue, sum),
});

/**
 * A number that the pods share, such as the length of a queue, divided by their count. As a metric of the pods it would
 * be wrong: each reports the whole, so that the mean never falls and the pods multiply to the maximum.
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
    // By default KEDA takes no answer for 0, and would remove pods while Prometheus is away.
    metadata: { serverAddress, query, threshold: String(averageValue), ignoreNullValues: "false" },
  }));

const seconds = (text: string) => secondsOf(text) ?? 0;
