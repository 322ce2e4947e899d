import { expect, test } from "vitest";
import { vanished } from "./removal.ts";

test("tenants that are still there, new ones and a first `up` are fine", () => {
  expect(vanished([], [])).toBeUndefined();
  expect(vanished([], [{ name: "acme" }])).toBeUndefined();
  expect(vanished(["acme"], [{ name: "globex" }, { name: "acme" }])).toBeUndefined();
});

test("one that vanished is named, with what to do", () => {
  expect(vanished(["acme", "globex"], [{ name: "acme" }])).toBe(
    "the tenant globex has no entry under `tenants` any more; nothing was changed. To remove it with all sessions and workspaces, put the entry back with `remove: true`, run `pulumi up`, then take it out.",
  );
});

test("several are named together", () => {
  expect(vanished(["acme", "globex", "initech"], [])).toContain("the tenants acme, globex, initech have no entry");
});
