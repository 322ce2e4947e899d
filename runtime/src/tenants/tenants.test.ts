import { renameSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { keyOf, sha256, silent, tenant, tenantsFile, until } from "../testing/fixtures.ts";
import { findKeyHolder, parseTenants } from "./tenants.ts";
import { TenantsFile } from "./tenantsFile.ts";

const tenants = parseTenants(JSON.stringify({ tenants: [tenant("acme"), tenant("acme-2")] }));

test("a key belongs to the tenant that it names and that knows its hash", () => {
  expect(findKeyHolder(tenants, keyOf("acme"))).toMatchObject({ key: "default", tenant: { name: "acme" } });
  expect(findKeyHolder(tenants, keyOf("acme-2"))?.tenant.name).toBe("acme-2");
});

test.each([
  "",
  "berth_acme_wrong",
  "berth_nobody_0123456789abcdef",
  "berth_acme_",
  sha256(keyOf("acme")),
  `${keyOf("acme")} `,
])("%j is nobody's key", (key) => {
  expect(findKeyHolder(tenants, key)).toBeUndefined();
});

test("a wrong file names the field and the rule", () => {
  const wrong = JSON.stringify({ tenants: [tenant("acme", { keys: [{ name: "default", sha256: "abc" }] })] });
  expect(() => parseTenants(wrong)).toThrow("tenants.0.keys.0.sha256: must be 64 hex digits");
});

test("a changed file is taken without a restart; a wrong one is not", async () => {
  const path = tenantsFile(tenant("acme"));
  const file = new TenantsFile(path, silent, 20);
  onTestFinished(() => file.onApplicationShutdown());
  const changes: string[][] = [];
  file.onChange(() => changes.push(file.namespaces()));
  const replace = (text: string) => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };

  replace("{");
  replace(JSON.stringify({ tenants: [tenant("acme"), tenant("beta")] }));
  await until(() => changes.length > 0);
  expect(changes).toEqual([["tenant-acme", "tenant-beta"]]);
  expect(file.findKeyHolder(keyOf("beta"))?.tenant.name).toBe("beta");

  replace("{");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(file.namespaces()).toEqual(["tenant-acme", "tenant-beta"]);
});
