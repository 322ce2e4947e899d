import { renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { adminKey, keyOf, sha256, silent, tenant, tenantsFile, until } from "../testing/fixtures.ts";
import { findKeyHolder, parseTenants } from "./tenants.ts";
import { TenantsFile } from "./tenantsFile.ts";

const tenants = parseTenants(
  JSON.stringify({
    admin: { keys: [{ name: "root", sha256: sha256(adminKey) }] },
    tenants: [
      tenant("acme", {
        keys: [
          { name: "default", sha256: sha256(keyOf("acme")) },
          { name: "watch", sha256: sha256(`${keyOf("acme")}2`), scopes: ["read"], expiresAt: "2026-01-01T12:00:00Z" },
        ],
      }),
      tenant("acme-2"),
    ],
  }),
);

test("a key belongs to the tenant that it names and that knows its hash", () => {
  expect(findKeyHolder(tenants, keyOf("acme"))).toMatchObject({
    role: "tenant",
    key: "default",
    tenant: { name: "acme" },
    scopes: ["read", "write", "desktop"],
    expired: false,
  });
  expect(findKeyHolder(tenants, keyOf("acme-2"))).toMatchObject({ tenant: { name: "acme-2" } });
});

test("a tenant has several keys, each with its scopes and its end", () => {
  const end = Date.parse("2026-01-01T12:00:00Z");
  const watch = { key: "watch", scopes: ["read"], expired: false };
  expect(findKeyHolder(tenants, `${keyOf("acme")}2`, end - 1)).toMatchObject(watch);
  expect(findKeyHolder(tenants, `${keyOf("acme")}2`, end)).toMatchObject({ ...watch, expired: true });
});

test("the admin's key is no tenant's", () => {
  expect(findKeyHolder(tenants, adminKey)).toEqual({ role: "admin", key: "root", expired: false });
  expect(() => parseTenants(JSON.stringify({ tenants: [{ ...tenant("acme"), name: "admin" }] }))).toThrow(
    "tenants.0.name: must not be admin",
  );
});

test("a file of today's fields alone has a default for every other", () => {
  const old = { name: "acme", namespace: "tenant-acme", serviceAccount: "agent-runner", runtimeClassName: null };
  const file = { tenants: [{ ...old, keys: [], workspace: { size: "10Gi", storageClass: null } }] };
  expect(parseTenants(JSON.stringify(file)).tenants.get("acme")).toMatchObject({
    workspace: { mode: "persistent" },
    idleTimeoutSeconds: null,
    exec: false,
    priority: 50,
    warmPools: { small: 0, medium: 0, large: 0 },
  });
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
  const wrong = JSON.stringify({ tenants: [{ ...tenant("acme"), keys: [{ name: "default", sha256: "abc" }] }] });
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
  expect(file.findKeyHolder(keyOf("beta"))).toMatchObject({ tenant: { name: "beta" } });

  replace("{");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(file.namespaces()).toEqual(["tenant-acme", "tenant-beta"]);
});

test("a session that is younger than the file may be of a tenant that is still to be read, for five minutes", async () => {
  const path = tenantsFile(tenant("acme"));
  const file = new TenantsFile(path, silent, 20);
  onTestFinished(() => file.onApplicationShutdown());
  const written = statSync(path).mtime.getTime();
  const isBehind = (createdAfter: number, secondsOld: number) => {
    const createdAt = written + 1_000 * createdAfter;
    return file.isBehind(new Date(createdAt), createdAt + 1_000 * secondsOld);
  };
  expect([isBehind(-1, 1), isBehind(1, 1), isBehind(1, 299), isBehind(1, 300)]).toEqual([false, true, true, false]);
  // Written again, with what it had: a tenant may have come and gone meanwhile.
  utimesSync(path, new Date(), new Date(written + 60_000));
  await until(() => !isBehind(59, 1));
  expect(isBehind(61, 1)).toBe(true);
});
