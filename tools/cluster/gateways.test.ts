import { expect, test } from "vitest";
import { gateway } from "./look.ts";

test.each([
  [{ allowedRoutes: { namespaces: { from: "All" } } }, "all namespaces"],
  [{ allowedRoutes: { namespaces: { from: "Selector" } } }, "selected namespaces"],
  [{ allowedRoutes: { namespaces: { from: "Same" } } }, "own namespace"],
  [{ allowedRoutes: { namespaces: { from: "None" } } }, "no namespace"],
  [{}, "own namespace"],
])("a listener with %j takes routes of: %s", (rule, routesFrom) => {
  const metadata = { name: "shared", namespace: "edge" };
  const spec = { gatewayClassName: "envoy", listeners: [{ name: "https", ...rule }] };
  expect(gateway({ metadata, spec })).toEqual({
    ...metadata,
    className: "envoy",
    listeners: [{ name: "https", routesFrom }],
  });
});
