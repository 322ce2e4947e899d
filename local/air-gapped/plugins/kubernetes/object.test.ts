import { expect, test } from "vitest";
import { annotated, idOf, parseId, prune } from "./object.ts";

test("of a live object what the inputs speak of is kept, with the live values", () => {
  const live = { spec: { replicas: 3, paused: false, list: [{ a: 1, b: 2 }, { a: 3 }] }, status: {} };
  const inputs = { spec: { replicas: 2, list: [{ a: 0 }], gone: true } };
  expect(prune(live, inputs)).toEqual({ spec: { replicas: 3, list: [{ a: 1 }] } });
});

test("ids name the namespace where there is one", () => {
  expect(idOf({ metadata: { name: "api", namespace: "berth" } })).toBe("berth/api");
  expect(idOf({ metadata: { name: "berth" } })).toBe("berth");
  expect(parseId("berth/api")).toEqual({ name: "api", namespace: "berth" });
  expect(parseId("berth")).toEqual({ name: "berth" });
});

test("annotations of Pulumi are read", () => {
  const object = { metadata: { annotations: { "pulumi.com/skipAwait": "true" } } };
  expect(annotated(object, "skipAwait")).toBe(true);
  expect(annotated({}, "skipAwait")).toBe(false);
});
