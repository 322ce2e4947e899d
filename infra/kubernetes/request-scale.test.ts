import { expect, test } from "vitest";
import { utilization } from "./autoscaler.ts";
import { scaledQuantity, scaledRequests, scaledUtilization } from "./request-scale.ts";

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

test("the scale multiplies all requests of a container", () => {
  expect(scaledRequests({ cpu: "100m", memory: "128Mi", "ephemeral-storage": "64Mi" }, 0.1)).toEqual({
    cpu: "10m",
    memory: "13Mi",
    "ephemeral-storage": "7Mi",
  });
});

test("the scale does not change the load at which a HorizontalPodAutoscaler and KEDA act", () => {
  expect(utilization("cpu", scaledUtilization(70, 0.1))).toEqual({
    metric: { type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: 700 } } },
    trigger: { type: "cpu", metricType: "Utilization", metadata: { value: "700" } },
  });
});

test("a scale of 1 changes nothing", () => {
  const requests = { cpu: "0.5" };
  expect(scaledRequests(requests, 1)).toBe(requests);
  expect(scaledUtilization(70, 1)).toBe(70);
});
