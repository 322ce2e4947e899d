import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { secondsOf } from "../config/duration.ts";
import type { AutoscalingConfig } from "../config/platform.ts";

type Spec = types.input.autoscaling.v2.HorizontalPodAutoscalerSpec;
type Metric = types.input.autoscaling.v2.MetricSpec;

/**
 * The autoscaler of a Deployment. The Deployment itself must say nothing of its replicas, or each `up` would undo what the
 * autoscaler did.
 */
export const autoscaler = (deployment: pulumi.Input<string>, config: AutoscalingConfig, metrics: Metric[]): Spec => ({
  scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: deployment },
  minReplicas: config.min,
  maxReplicas: config.max,
  metrics,
  behavior: {
    scaleUp: {
      stabilizationWindowSeconds: seconds(config.up.window),
      policies: [{ type: "Pods", value: config.up.pods, periodSeconds: seconds(config.up.step) }],
    },
    scaleDown: {
      stabilizationWindowSeconds: seconds(config.down.window),
      policies: [{ type: "Percent", value: config.down.percent, periodSeconds: seconds(config.down.step) }],
    },
  },
});

/** The pods' mean use in percent of what they request. */
export const utilization = (name: "cpu" | "memory", averageUtilization: number): Metric => ({
  type: "Resource",
  resource: { name, target: { type: "Utilization", averageUtilization } },
});

/** The mean of a metric that every pod exports about itself. */
export const podMetric = (name: string, averageValue: number): Metric => ({
  type: "Pods",
  pods: { metric: { name }, target: { type: "AverageValue", averageValue: String(averageValue) } },
});

/**
 * A number that the pods share, such as the length of a queue, divided by their count. As a metric of the pods it would
 * be wrong: each reports the whole, so that the mean never falls and the pods multiply to the maximum.
 */
export const sharedMetric = (name: string, matchLabels: Record<string, string>, averageValue: number): Metric => ({
  type: "External",
  external: {
    metric: { name, selector: { matchLabels } },
    target: { type: "AverageValue", averageValue: String(averageValue) },
  },
});

const seconds = (text: string) => secondsOf(text) ?? 0;
