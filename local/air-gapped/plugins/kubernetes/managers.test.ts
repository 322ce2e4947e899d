import { expect, test } from "vitest";
import { takenOver } from "./managers.ts";

const created = { manager: "pulumi-kubernetes", operation: "Update", fieldsV1: { "f:data": { "f:a": {} } } };
const controller = { manager: "kube-controller-manager", operation: "Update", subresource: "status" };

test("what the object was created with goes to the one who applies", () => {
  const apply = { manager: "mine", operation: "Apply" };
  expect(takenOver([created, controller], "mine")).toEqual([{ ...created, ...apply }, controller]);
});

test("it is added to what that one has already", () => {
  const own = { manager: "mine", operation: "Apply", fieldsV1: { "f:data": { "f:b": {} } } };
  expect(takenOver([own, created], "mine")).toEqual([{ ...own, fieldsV1: { "f:data": { "f:a": {}, "f:b": {} } } }]);
});

test("so does what somebody changed by hand", () => {
  const own = { manager: "mine", operation: "Apply", fieldsV1: { "f:data": { "f:a": {} } } };
  const patched = { manager: "kubectl-patch", operation: "Update", fieldsV1: { "f:data": { "f:a": {}, "f:b": {} } } };
  expect(takenOver([own, patched], "mine")).toEqual([{ ...own, fieldsV1: patched.fieldsV1 }]);
});

test("so does what a run applied whose state is lost", () => {
  const lost = { manager: "pulumi-kubernetes-1", operation: "Apply", fieldsV1: { "f:data": { "f:a": {} } } };
  expect(takenOver([lost], "pulumi-kubernetes-2")).toEqual([{ ...lost, manager: "pulumi-kubernetes-2" }]);
  expect(takenOver([lost], "pulumi-kubernetes-1")).toBeUndefined();
});

test("others keep what is theirs", () => {
  expect(takenOver([controller, { manager: "mine", operation: "Apply" }], "mine")).toBeUndefined();
});
