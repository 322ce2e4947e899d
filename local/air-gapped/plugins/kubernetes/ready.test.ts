import { describe, expect, test } from "vitest";
import type { Props } from "../protocol/values.ts";
import type { KubeObject } from "./object.ts";
import { isWaitedFor, readiness } from "./ready.ts";

const object = (kind: string, status: Props, spec: Props = {}, generation = 2): KubeObject => ({
  apiVersion: "v1",
  kind,
  metadata: { name: "a", generation },
  spec,
  status,
});
const seen = { observedGeneration: 2 };

describe("a Deployment", () => {
  const done = { ...seen, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
  test.each([
    ["is ready when all pods are new and available", done, true],
    ["is not while its controller has not seen the change", { ...done, observedGeneration: 1 }, /has not seen/],
    ["is not while it has no status at all", {}, /has not seen/],
    ["is not while new pods are missing", { ...done, updatedReplicas: 1 }, /1 of 2 new pods/],
    ["is not while old pods are there", { ...done, replicas: 3 }, /1 old pods/],
    ["is not while a pod is not available", { ...done, availableReplicas: 1 }, /1 of 2 pods are available/],
  ])("%s", (_, status, expected) => {
    const found = readiness(object("Deployment", status, { replicas: 2 }));
    if (expected === true) expect(found).toBe(true);
    else expect(found).toMatch(expected as RegExp);
  });

  test("has failed when it made no progress in time", () => {
    const conditions = [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: "no" }];
    expect(readiness(object("Deployment", { ...seen, conditions }))).toEqual({ failed: "no" });
  });
});

test("a StatefulSet is ready when all pods are of the new revision and ready", () => {
  const spec = { replicas: 1 };
  const status = { ...seen, currentRevision: "b", updateRevision: "b", readyReplicas: 1 };
  expect(readiness(object("StatefulSet", status, spec))).toBe(true);
  expect(readiness(object("StatefulSet", { ...status, currentRevision: "a" }, spec))).toMatch("replaced");
  expect(readiness(object("StatefulSet", { ...status, readyReplicas: 0 }, spec))).toMatch("0 of 1");
});

test("a Job is ready when it is complete, and can fail", () => {
  const condition = (type: string) => ({ conditions: [{ type, status: "True", message: type }] });
  expect(readiness(object("Job", condition("Complete")))).toBe(true);
  expect(readiness(object("Job", condition("Failed")))).toEqual({ failed: "Failed" });
  expect(readiness(object("Job", {}))).toMatch("not done");
});

test("a claim is ready when it is bound, a quota when it is counted", () => {
  expect(readiness(object("PersistentVolumeClaim", { phase: "Bound" }))).toBe(true);
  expect(readiness(object("PersistentVolumeClaim", { phase: "Pending" }))).toMatch("Pending");
  expect(readiness(object("ResourceQuota", { hard: { pods: "50" } }))).toBe(true);
  expect(readiness(object("ResourceQuota", {}))).toMatch("counted");
});

test("nothing is waited for that asks for no wait, or has nothing to wait for", () => {
  const skipping = { kind: "Deployment", metadata: { annotations: { "pulumi.com/skipAwait": "true" } } };
  expect(isWaitedFor(skipping)).toBe(false);
  expect(isWaitedFor({ kind: "Deployment" })).toBe(true);
  expect(isWaitedFor({ kind: "ConfigMap" })).toBe(false);
});
