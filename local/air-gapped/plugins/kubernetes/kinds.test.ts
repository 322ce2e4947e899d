import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../../../../machine/machine.ts";
import { kindOf, pathOf } from "./kinds.ts";

test("every kind of the stacks is known", () => {
  const stacks = ["dev", "prod", "kind"].map((name) =>
    readFileSync(join(root, "infra", "testdata", `${name}.golden.json`), "utf8"),
  );
  const types = new Set(stacks.join().match(/kubernetes:[a-z0-9./]+:[A-Za-z]+/g));
  expect(types.size).toBeGreaterThan(20);
  expect([...types].filter((type) => kindOf(type) === undefined)).toEqual([]);
});

test("objects are where the API has them", () => {
  const path = (type: string) => pathOf(kindOf(type) as never, "berth");
  expect(path("kubernetes:core/v1:Secret")).toBe("/api/v1/namespaces/berth/secrets");
  expect(path("kubernetes:core/v1:Namespace")).toBe("/api/v1/namespaces");
  expect(path("kubernetes:networking.k8s.io/v1:Ingress")).toBe("/apis/networking.k8s.io/v1/namespaces/berth/ingresses");
  expect(path("kubernetes:networking.k8s.io/v1:NetworkPolicy")).toMatch(/\/networkpolicies$/);
  expect(path("kubernetes:discovery.k8s.io/v1:EndpointSlice")).toMatch(/\/endpointslices$/);
  expect(path("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole")).toBe(
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  );
});

test("no other kind is known", () => {
  expect(kindOf("kubernetes:core/v1:Pod")).toBeUndefined();
  expect(kindOf("kubernetes:helm.sh/v3:Release")).toBeUndefined();
});
