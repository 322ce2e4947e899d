import * as pulumi from "@pulumi/pulumi";
import { expect, test } from "vitest";
import { scaledQuantity, scaleRequests } from "./request-scale.ts";

test.each<[string, string, number, string]>([
  ["cpu", "250m", 0.1, "25m"],
  ["cpu", "1.5", 0.5, "750m"],
  ["cpu", "25m", 0.01, "1m"],
  ["memory", "256Mi", 0.1, "26Mi"],
  ["memory", "1Gi", 0.25, "256Mi"],
  ["ephemeral-storage", "64Mi", 0.5, "32Mi"],
])("%s %s times %d is %s", (resource, quantity, scale, result) => {
  expect(scaledQuantity(resource, quantity, scale)).toBe(result);
});

test("requests of every container are scaled, wherever its pod is; limits stay", () => {
  const resources = { requests: { cpu: "100m", memory: "128Mi" }, limits: { cpu: "1", memory: "512Mi" } };
  const pod = { initContainers: [{ name: "init", resources }], containers: [{ name: "main", resources }] };
  const job = { spec: { jobTemplate: { spec: { template: { spec: pod } } } } };
  const scaled = { requests: { cpu: "10m", memory: "13Mi" }, limits: resources.limits };
  const scaledPod = {
    initContainers: [{ name: "init", resources: scaled }],
    containers: [{ name: "main", resources: scaled }],
  };
  expect(scaleRequests(job, 0.1)).toEqual({ spec: { jobTemplate: { spec: { template: { spec: scaledPod } } } } });
});

test("an autoscaler acts at the same load as before", () => {
  const metric = (averageUtilization: number) => ({
    resource: { target: { type: "Utilization", averageUtilization } },
  });
  expect(scaleRequests({ spec: { metrics: [metric(70)] } }, 0.1)).toEqual({ spec: { metrics: [metric(700)] } });
});

test("so does KEDA, whose other triggers count no share of the requests", () => {
  const cpu = (value: string) => ({ type: "cpu", metricType: "Utilization", metadata: { value } });
  const jobs = { type: "prometheus", metricType: "AverageValue", metadata: { threshold: "5" } };
  const scaled = scaleRequests({ spec: { triggers: [cpu("70"), jobs] } }, 0.1);
  expect(scaled).toEqual({ spec: { triggers: [cpu("700"), jobs] } });
});

test("disks, roles and what is known only later stay as they are", () => {
  const later = pulumi.output("later");
  const inputs = {
    spec: { resources: { requests: { storage: "10Gi" } } },
    rules: [{ resources: ["pods"], verbs: ["get"] }],
    later,
  };
  const scaled = scaleRequests(inputs, 0.1);
  expect(scaled).toEqual(inputs);
  expect(scaled.later).toBe(later);
});

test("a scale of 1 changes nothing", () => {
  const inputs = { resources: { requests: { cpu: "0.5" } } };
  expect(scaleRequests(inputs, 1)).toBe(inputs);
});
