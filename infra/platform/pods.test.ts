import { expect, test } from "vitest";
import { withPlatformPods } from "./pods.ts";

const pod = { containers: [{ name: "main", resources: { requests: { cpu: "100m" } } }] };
const common = { requestScale: 0.5, imagePullSecrets: ["registry-login"] };
const expected = {
  priorityClassName: "berth-platform",
  imagePullSecrets: [{ name: "registry-login" }],
  containers: [{ name: "main", resources: { requests: { cpu: "50m" } } }],
};

test.each([
  ["a Deployment, StatefulSet, DaemonSet or Job", (spec: object) => ({ spec: { replicas: 1, template: { spec } } })],
  ["a CronJob", (spec: object) => ({ spec: { jobTemplate: { spec: { template: { spec } } } } })],
  ["a Pod", (spec: object) => ({ spec })],
])("the pods of %s get priority, pull secret and scaled requests", (_, around) => {
  expect(withPlatformPods(around(pod), common)).toEqual(around(expected));
});

test("a component may choose a priority of its own", () => {
  const inputs = { spec: { priorityClassName: "berth-session", ...pod } };
  expect(withPlatformPods(inputs, common).spec.priorityClassName).toBe("berth-session");
});

test.each([
  ["a ConfigMap", { data: { spec: "text" } }],
  ["a Service", { spec: { selector: { app: "api" }, ports: [{ port: 80 }] } }],
  ["a claim", { spec: { resources: { requests: { storage: "10Gi" } } } }],
])("%s stays as it is", (_, inputs) => {
  expect(withPlatformPods(inputs, common)).toEqual(inputs);
});
