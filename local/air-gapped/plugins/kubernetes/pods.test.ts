import type { V1Pod } from "@kubernetes/client-node";
import { expect, test } from "vitest";
import { unreadyPods } from "./pods.ts";

const pod = (status: V1Pod["status"]): V1Pod => ({ metadata: { name: "api-1" }, status: status ?? {} });
const container = { name: "api", image: "", imageID: "", ready: false, restartCount: 0 };

test("a pod that waits says for what, and how its last try ended", () => {
  const waiting = { reason: "CrashLoopBackOff", message: "back-off 10s" };
  const terminated = { exitCode: 2, reason: "Error" };
  const status = { containerStatuses: [{ ...container, state: { waiting }, lastState: { terminated } }] };
  expect(unreadyPods([pod(status)])).toEqual([
    "pod api-1: api is waiting: CrashLoopBackOff (back-off 10s), ended with 2 (Error)",
  ]);
});

test("a pod that has no place says why", () => {
  const conditions = [{ type: "PodScheduled", status: "False", message: "0/1 nodes: Insufficient cpu" }];
  expect(unreadyPods([pod({ conditions })])).toEqual(["pod api-1: 0/1 nodes: Insufficient cpu"]);
});

test("of pods that are ready nothing is said", () => {
  expect(unreadyPods([pod({ conditions: [{ type: "Ready", status: "True" }] })])).toEqual([]);
});
