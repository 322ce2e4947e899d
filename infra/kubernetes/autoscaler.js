import { secondsOf } from "../config/duration.ts";
/**
 * The autoscaler of a Deployment. The Deployment itself must say nothing of its replicas, or each `up` would undo what the
 * autoscaler did.
 */
export const autoscaler = (deployment, config, metrics) => ({
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
export const utilization = (name, averageUtilization) => ({
    type: "Resource",
    resource: { name, target: { type: "Utilization", averageUtilization } },
});
/** The mean of a metric that every pod exports about itself. */
export const podMetric = (name, averageValue) => ({
    type: "Pods",
    pods: { metric: { name }, target: { type: "AverageValue", averageValue: String(averageValue) } },
});
/**
 * A number that the pods share, such as the length of a queue, divided by their count. As a metric of the pods it would
 * be wrong: each reports the whole, so that the mean never falls and the pods multiply to the maximum.
 */
export const sharedMetric = (name, matchLabels, averageValue) => ({
    type: "External",
    external: {
        metric: { name, selector: { matchLabels } },
        target: { type: "AverageValue", averageValue: String(averageValue) },
    },
});
const seconds = (text) => secondsOf(text) ?? 0;
