import { renameSync, writeFileSync } from "node:fs";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { findKeyHolder, parseTenants } from "../domain/tenants.ts";
import { createLogger } from "../telemetry/logging.ts";
import { adminKey, keyOf, sha256, silent, tenant, tenantsFile } from "../testing/fixtures.ts";
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

test("a key belongs to the tenant that the key names and that has the key's hash", () => {
  expect(findKeyHolder(tenants, keyOf("acme"), 0)).toMatchObject({
    role: "tenant",
    key: "default",
    tenant: { name: "acme" },
    scopes: ["read", "write", "desktop"],
    expired: false,
  });
  expect(findKeyHolder(tenants, keyOf("acme-2"), 0)).toMatchObject({ tenant: { name: "acme-2" } });
});

test("a tenant has several keys, each with its scopes and its expiry", () => {
  const end = Date.parse("2026-01-01T12:00:00Z");
  const watch = { key: "watch", scopes: ["read"], expired: false };
  expect(findKeyHolder(tenants, `${keyOf("acme")}2`, end - 1)).toMatchObject(watch);
  expect(findKeyHolder(tenants, `${keyOf("acme")}2`, end)).toMatchObject({ ...watch, expired: true });
});

test("the admin's key belongs to no tenant", () => {
  expect(findKeyHolder(tenants, adminKey, 0)).toEqual({ role: "admin", key: "root", expired: false });
  expect(() => parseTenants(JSON.stringify({ tenants: [{ ...tenant("acme"), name: "admin" }] }))).toThrow(
    "tenants.0.name: must not be admin",
  );
});

test("in a file with only the required fields, all other fields have defaults", () => {
  const old = { name: "acme", namespace: "tenant-acme", serviceAccount: "agent-runner", runtimeClassName: null };
  const file = { tenants: [{ ...old, keys: [], workspace: { size: "10Gi", storageClass: null } }] };
  expect(parseTenants(JSON.stringify(file)).tenants.get("acme")).toMatchObject({
    workspace: { mode: "persistent" },
    idleTimeoutSeconds: null,
    exec: false,
    priority: 50,
    warmPools: { small: 0, medium: 0, large: 0 },
    placement: { nodeSelector: {}, tolerations: [], affinity: null },
  });
});

test("closed tenants are known as closed; a tenant that is not named is not closed", () => {
  const path = tenantsFile(tenant("acme"));
  const delta = tenant("delta", { maxSessions: 0 });
  writeFileSync(path, JSON.stringify({ tenants: [tenant("acme"), delta], closed: ["beta"] }));
  const file = new TenantsFile(path, silent);
  onTestFinished(() => file.onApplicationShutdown());
  expect(["acme", "beta", "gamma"].map((name) => file.isClosed(name))).toEqual([false, true, false]);
  expect(file.names()).toEqual(["acme", "delta", "beta"]);
  expect(file.ending()).toEqual(["delta", "beta"]);
  expect(file.findKeyHolder(keyOf("beta"))).toBeUndefined();
});

test.each([
  "",
  "berth_acme_wrong",
  "berth_nobody_0123456789abcdef",
  "berth_acme_",
  sha256(keyOf("acme")),
  `${keyOf("acme")} `,
])("%j is nobody's key", (key) => {
  expect(findKeyHolder(tenants, key, 0)).toBeUndefined();
});

test("the error about an invalid file names the field and the rule", () => {
  const wrong = JSON.stringify({ tenants: [{ ...tenant("acme"), keys: [{ name: "default", sha256: "abc" }] }] });
  expect(() => parseTenants(wrong)).toThrow("tenants.0.keys.0.sha256: must be 64 hex digits");
});

test("a valid change is applied without a restart; an invalid one is not", async () => {
  const path = tenantsFile(tenant("acme"));
  const log: string[] = [];
  const file = new TenantsFile(path, createLogger("error", "api", { write: (line) => log.push(line) }), 20);
  onTestFinished(() => file.onApplicationShutdown());
  const complaints = (count: number) =>
    until(
      `it logged ${count} errors`,
      20,
      () => log,
      ({ length }) => length === count,
    );
  const changes: string[][] = [];
  file.onChange(() => changes.push(file.namespaces()));
  const replace = (text: string) => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };

  replace("{");
  await complaints(1);
  expect(file.namespaces()).toEqual(["tenant-acme"]);
  replace(JSON.stringify({ tenants: [tenant("acme"), tenant("beta")] }));
  await until(
    "the change is applied",
    20,
    () => changes,
    ({ length }) => length > 0,
  );
  expect(changes).toEqual([["tenant-acme", "tenant-beta"]]);
  expect(file.findKeyHolder(keyOf("beta"))).toMatchObject({ tenant: { name: "beta" } });

  replace("{");
  await complaints(2);
  expect(file.namespaces()).toEqual(["tenant-acme", "tenant-beta"]);
});

test("listeners hear of a change once, however long the reading takes", async () => {
  const path = tenantsFile(tenant("acme"));
  const file = new TenantsFile(path, silent, 1);
  onTestFinished(() => file.onApplicationShutdown());
  const changes: string[][] = [];
  file.onChange(() => changes.push(file.namespaces()));
  const reported: string[][] = [];
  for (const name of ["beta", "gamma", "delta"]) {
    // 32 MB: reading takes longer than the interval of one millisecond.
    writeFileSync(`${path}.new`, JSON.stringify({ tenants: [tenant(name)] }) + " ".repeat(2 ** 25));
    renameSync(`${path}.new`, path);
    reported.push([`tenant-${name}`]);
    await until(
      `the change to ${name} is announced`,
      60,
      () => changes,
      ({ length }) => length >= reported.length,
    );
  }
  expect(changes).toEqual(reported);
});

test("the generation is that of the file that was read last; a file without a generation has 0", async () => {
  const path = tenantsFile(tenant("acme"));
  const file = new TenantsFile(path, silent, 20);
  onTestFinished(() => file.onApplicationShutdown());
  expect(file.generation).toBe(0);
  writeFileSync(`${path}.new`, JSON.stringify({ generation: 1_790_000_000, tenants: [tenant("acme")] }));
  renameSync(`${path}.new`, path);
  await until("the new file is read", 20, () => file.generation === 1_790_000_000);
});

test.each([-1, 1.5, "7", null])("the error about the generation %j names the field", (generation) => {
  expect(() => parseTenants(JSON.stringify({ generation, tenants: [] }))).toThrow(/^generation: /);
});
