import { expect, test } from "vitest";
import { vanished } from "./removal.ts";

test("there is no error for existing tenants, for new tenants, and for a first `up`", () => {
  expect(vanished([], [])).toBeUndefined();
  expect(vanished([], [{ name: "acme" }])).toBeUndefined();
  expect(vanished(["acme"], [{ name: "globex" }, { name: "acme" }])).toBeUndefined();
});

test("the error names a tenant whose entry is missing, and says what to do", () => {
  expect(vanished(["acme", "globex"], [{ name: "acme" }])).toBe(
    "the tenant globex has no entry under `tenants` any more. Nothing was changed. To remove it with all sessions and workspaces, add the entry again with `remove: true`, run `pulumi up`, then remove the entry.",
  );
});

test("one error names all tenants whose entries are missing", () => {
  expect(vanished(["acme", "globex", "initech"], [])).toContain("the tenants acme, globex, initech have no entry");
});
