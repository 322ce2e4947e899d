/** The config of the runtime's pods: their number, and the CPU and memory that they may use. */
import { z } from "zod";
import { secondsOf } from "./duration.ts";
import { resources } from "./resources.ts";
import { cidr, duration, name, port, replicas, wholeNumber } from "./scalars.ts";

/** An autoscaler's stabilization window. Kubernetes allows at most one hour, and at most 30 minutes for a step. */
const window = duration.refine((text) => (secondsOf(text) ?? 0) <= 3_600, { error: "is more than 1h" });
const step = duration.refine((text) => (secondsOf(text) ?? 1) >= 1 && (secondsOf(text) ?? 1) <= 1_800, {
  error: "is not between 1s and 30m",
});

/** How fast the number of pods follows the load. Pods are added fast and removed slowly. */
const scaling = {
  up: z.strictObject({
    window: window.default("30s").describe("A higher load must last this long before pods are added."),
    pods: wholeNumber.min(1, { error: "is below 1" }).default(4).describe("The most pods that are added in one step."),
    step: step.default("1m").describe("The duration of one step."),
  }),
  down: z.strictObject({
    window: window.default("5m").describe("A lower load must last this long before pods are removed."),
    percent: wholeNumber
      .min(1, { error: "is below 1" })
      .max(100, { error: "is above 100" })
      .default(25)
      .describe("The most pods that are removed in one step, in percent of the current number."),
    step: step.default("2m").describe("The duration of one step."),
  }),
};

const autoscaling = <Targets extends z.ZodRawShape>(min: number, max: number, targets: Targets) =>
  z
    .strictObject({
      min: replicas.default(min).describe("The lowest number of pods."),
      max: replicas
        .default(max)
        .describe("The highest number of pods. For a fixed number, set `max` to the same value as `min`."),
      ...targets,
      up: scaling.up.prefault({}).describe("How fast pods are added."),
      down: scaling.down.prefault({}).describe("How fast pods are removed."),
    })
    .check((check) => {
      const { min, max } = check.value as { min: number; max: number };
      if (min > max)
        check.issues.push({ code: "custom", input: max, path: ["max"], message: `is below autoscaling.min, ${min}` });
    });

export const autoscaler = z.enum(["hpa", "keda", "off"], { error: "is none of hpa, keda, off" });

export const keda = z.strictObject({
  namespace: name
    .default("keda")
    .describe(
      "KEDA's namespace. A network policy lets KEDA's pods query Prometheus. With another `autoscaler` this key has no effect.",
    ),
});

const percent = wholeNumber.min(1, { error: "is below 1" });
const perPod = wholeNumber.min(1, { error: "is below 1" });

const apiKeys = z.strictObject({
  autoscaling: autoscaling(3, 20, {
    cpu: percent.default(70).describe("The autoscaler's target for CPU, in percent of the pods' CPU requests."),
    memory: percent
      .default(80)
      .describe("The autoscaler's target for memory, in percent of the pods' memory requests."),
    requestsPerSecond: perPod
      .default(100)
      .describe("The autoscaler's target for HTTP requests: how many each pod should get per second."),
  })
    .prefault({})
    .describe("The number of the API's pods."),
  resources: resources({ requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "1", memory: "512Mi" } })
    .prefault({})
    .describe("CPU and memory of each pod of the API: requests and limits."),
  readinessFailures: wholeNumber
    .min(1, { error: "is below 1" })
    .default(2)
    .describe(
      "After this many failed readiness checks of a pod in a row, the Service sends no requests to the pod. Kubernetes checks every 3 s. Set a higher number on a busy machine if there is only one pod.",
    ),
  nodePort: wholeNumber
    .min(30000, { error: "is below 30000" })
    .max(32767, { error: "is above 32767" })
    .optional()
    .describe(
      "For clusters without an ingress: the Service that users reach becomes a NodePort Service with this port on every node.",
    ),
  sandboxNodePort: wholeNumber
    .min(30000, { error: "is below 30000" })
    .max(32767, { error: "is above 32767" })
    .optional()
    .describe(
      "For clusters without an ingress: the port on every node for the address in `sandboxUrl`, in addition to `nodePort`.",
    ),
});

export const api = apiKeys.check(({ value: { nodePort, sandboxNodePort }, issues }) => {
  if (nodePort === undefined || nodePort !== sandboxNodePort) return;
  const message = "is `nodePort` too, and a port leads to one Service port only; choose another port";
  issues.push({ code: "custom", input: sandboxNodePort, path: ["sandboxNodePort"], message });
});

export const worker = z.strictObject({
  autoscaling: autoscaling(2, 20, {
    waitingJobs: perPod.default(5).describe("The autoscaler's target for waiting jobs per pod."),
  })
    .prefault({})
    .describe("The number of the worker's pods."),
  resources: resources({ requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "1", memory: "512Mi" } })
    .prefault({})
    .describe("CPU and memory of each pod of the worker: requests and limits."),
});

/** Whether the API's pods or separate pods are the gateway, which carries the traffic of sessions. */
export const gateway = z.union(
  [
    z.literal("inside"),
    z.strictObject({
      autoscaling: autoscaling(2, 10, {
        cpu: percent.default(70).describe("The autoscaler's target for CPU, in percent of the pods' CPU requests."),
        connections: perPod
          .default(500)
          .describe(
            "The autoscaler's target for open WebSockets, streams and transfers per pod. When a pod is removed, its connections are cut.",
          ),
      })
        .prefault({})
        .describe("The number of the gateway's pods."),
      resources: resources({ requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "2", memory: "512Mi" } })
        .prefault({})
        .describe("CPU and memory of each pod of the gateway: requests and limits."),
    }),
  ],
  { error: "is neither inside nor a group of keys" },
);

export const requestScale = z
  .number({ error: "is not a number" })
  .min(0.01, { error: "is below 0.01" })
  .max(1, { error: "is above 1" });

/**
 * The addresses of the Kubernetes API servers, not that of the Service `kubernetes`: network policies apply after Kubernetes has
 * replaced the Service's address with that of a server, so a rule for the Service's address would open nothing.
 */
export const kubernetesApi = z.array(
  z.strictObject({
    cidr: cidr.describe("An address or a range of addresses of the Kubernetes API, for example 10.0.0.1/32."),
    port: port.describe("The port of the Kubernetes API at this address."),
  }),
);

/** A duration from 10 seconds to `most`. */
const timeout = (most: string) =>
  duration.refine((text) => (secondsOf(text) ?? 10) >= 10 && (secondsOf(text) ?? 0) <= (secondsOf(most) ?? 0), {
    error: `is not between 10s and ${most}`,
  });

/** At most 10 minutes, because Kubernetes itself reports a Deployment as failed after 10 minutes without progress. */
export const rolloutTimeout = timeout("10m")
  .default("5m")
  .describe(
    "How long `pulumi up` waits for the pods of each workload before it fails and says which pod isn't ready and why. Allowed: 10s to 10m.",
  );

export const migrationTimeout = timeout("24h")
  .nullable()
  .default(null)
  .describe(
    "How long the Job `migrate` may change the tables of the database before `pulumi up` fails. The next `up` continues where the Job stopped. A large database needs more than `rolloutTimeout`; see docs/upgrading.md. Allowed: 10s to 24h. Null: `rolloutTimeout`.",
  );

export type ApiConfig = z.output<typeof api>;
/** The config of a gateway with separate pods. */
export type GatewayConfig = Exclude<z.output<typeof gateway>, "inside">;
export type WorkerConfig = z.output<typeof worker>;
export type Autoscaler = z.output<typeof autoscaler>;
export type AutoscalingConfig = Pick<ApiConfig["autoscaling"], "min" | "max" | "up" | "down">;
