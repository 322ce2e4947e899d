/** The runtime's own pods, how many of them there are, and what they may use. */
import { z } from "zod";
import { secondsOf } from "./duration.ts";
import { resources } from "./resources.ts";
import { cidr, duration, name, port, replicas, wholeNumber } from "./scalars.ts";

/** What an autoscaler looks back on and how long its steps are: at most an hour, as Kubernetes has it. */
const window = duration.refine((text) => (secondsOf(text) ?? 0) <= 3_600, { error: "is more than 1h" });
const step = duration.refine((text) => (secondsOf(text) ?? 1) >= 1 && (secondsOf(text) ?? 1) <= 1_800, {
  error: "is not between 1s and 30m",
});

/** How many pods, and how fast their number follows the load: up at once, down with care. */
const scaling = {
  up: z.strictObject({
    window: window.default("30s").describe("Load that lasts shorter than this adds no pod."),
    pods: wholeNumber.min(1, { error: "is below 1" }).default(4).describe("Pods added at most in each step."),
    step: step.default("1m").describe("Length of a step."),
  }),
  down: z.strictObject({
    window: window.default("5m").describe("Load that has been gone for shorter than this removes no pod."),
    percent: wholeNumber
      .min(1, { error: "is below 1" })
      .max(100, { error: "is above 100" })
      .default(25)
      .describe("Pods removed at most in each step, in percent of those there are."),
    step: step.default("2m").describe("Length of a step."),
  }),
};

const autoscaling = <Targets extends z.ZodRawShape>(min: number, max: number, targets: Targets) =>
  z
    .strictObject({
      min: replicas.default(min).describe("Pods at least."),
      max: replicas.default(max).describe("Pods at most; the same as `min` for a fixed number."),
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
    .describe("Where KEDA runs; its pods ask Prometheus, so they are let in. Nothing with another `autoscaler`."),
});

const percent = wholeNumber.min(1, { error: "is below 1" });
const perPod = wholeNumber.min(1, { error: "is below 1" });

export const api = z.strictObject({
  autoscaling: autoscaling(3, 10, {
    cpu: percent.default(70).describe("CPU that the pods are kept at, in percent of what they request."),
    memory: percent.default(80).describe("Memory that the pods are kept at, in percent of what they request."),
    requestsPerSecond: perPod.default(100).describe("HTTP requests a second that each pod is to serve."),
  })
    .prefault({})
    .describe("How many pods the API has."),
  resources: resources({ requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "1", memory: "512Mi" } })
    .prefault({})
    .describe("What each pod of the API asks for and may use."),
  readinessFailures: wholeNumber
    .min(1, { error: "is below 1" })
    .default(2)
    .describe(
      "Failed readiness checks in a row, one every 3 s, that take a pod out of the Service. With one pod only, a busy machine needs more.",
    ),
  nodePort: wholeNumber
    .min(30000, { error: "is below 30000" })
    .max(32767, { error: "is above 32767" })
    .optional()
    .describe("Makes the Service by which users come in a NodePort on this port; for clusters without an ingress."),
  sandboxNodePort: wholeNumber
    .min(30000, { error: "is below 30000" })
    .max(32767, { error: "is above 32767" })
    .optional()
    .describe("The same for what `sandboxUrl` names, beside `nodePort`."),
});

export const worker = z.strictObject({
  autoscaling: autoscaling(2, 20, {
    waitingJobs: perPod.default(5).describe("Waiting jobs that each pod is to have."),
  })
    .prefault({})
    .describe("How many pods the worker has."),
  resources: resources({ requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "1", memory: "512Mi" } })
    .prefault({})
    .describe("What each pod of the worker asks for and may use."),
});

/** In which process the data plane is. */
export const gateway = z.union(
  [
    z.literal("inside"),
    z.strictObject({
      autoscaling: autoscaling(2, 10, {
        cpu: percent.default(70).describe("CPU that the pods are kept at, in percent of what they request."),
        connections: perPod
          .default(500)
          .describe("Open WebSockets, streams and transfers that each pod is to have; a pod that goes cuts its own."),
      })
        .prefault({})
        .describe("How many pods the gateway has."),
      resources: resources({ requests: { cpu: "250m", memory: "256Mi" }, limits: { cpu: "2", memory: "512Mi" } })
        .prefault({})
        .describe("What each pod of the gateway asks for and may use."),
    }),
  ],
  { error: "is neither inside nor a group of keys" },
);

export const requestScale = z
  .number({ error: "is not a number" })
  .min(0.01, { error: "is below 0.01" })
  .max(1, { error: "is above 1" });

export const kubernetesApi = z.array(
  z.strictObject({
    cidr: cidr.describe("An address of the API, for example 10.0.0.1/32."),
    port: port.describe("Its port."),
  }),
);

/** Kubernetes itself gives a Deployment up after 10 minutes without progress. */
export const rolloutTimeout = duration
  .refine((text) => (secondsOf(text) ?? 10) >= 10 && (secondsOf(text) ?? 600) <= 600, {
    error: "is not between 10s and 10m",
  })
  .default("5m")
  .describe(
    "How long `pulumi up` waits for the pods of each workload before it fails and says which pod isn't ready and why: 10s to 10m.",
  );

export type ApiConfig = z.output<typeof api>;
/** The gateway's in pods of its own. */
export type GatewayConfig = Exclude<z.output<typeof gateway>, "inside">;
export type WorkerConfig = z.output<typeof worker>;
export type Autoscaler = z.output<typeof autoscaler>;
export type AutoscalingConfig = Pick<ApiConfig["autoscaling"], "min" | "max" | "up" | "down">;
