import { expect, test } from "vitest";
import { tenant as schema } from "../config/tenant.ts";
import { keyHash } from "./api-keys.ts";
import { tenantEntry, tenantsFile } from "./tenants-file.ts";

const placement = { nodeSelector: { pool: "sessions" }, tolerations: [], affinity: null };
const made = {
  namespace: "tenant-acme",
  serviceAccount: "agent-runner",
  hashes: ["a".repeat(64), "b".repeat(64)],
  placement,
  hasImagePuller: true,
};

test("the tenants file has durations in seconds, hashes of keys, and by default one session for every pod of the quota", () => {
  const tenant = schema.parse({
    name: "acme",
    keys: [
      { name: "web", scopes: ["read"] },
      { name: "ci", expiresAt: "2027-01-31T00:00:00Z" },
    ],
    idleTimeout: "30m",
    commandIsActivity: false,
    maxLifetime: "8h",
    retention: "7d",
    quota: { pods: 7, volumes: 9 },
  });
  expect(tenantEntry(tenant, made)).toMatchObject({
    name: "acme",
    namespace: "tenant-acme",
    serviceAccount: "agent-runner",
    keys: [
      { name: "web", sha256: "a".repeat(64), scopes: ["read"], expiresAt: null },
      { name: "ci", sha256: "b".repeat(64), scopes: ["read", "write", "desktop"], expiresAt: "2027-01-31T00:00:00Z" },
    ],
    maxSessions: 7,
    idleTimeoutSeconds: 1_800,
    commandIsActivity: false,
    maxLifetimeSeconds: 28_800,
    retentionSeconds: 604_800,
    placement,
    hasImagePuller: true,
  });
});

test("keys without a value are null or empty in the file, and keys that only the stack needs are not in the file", () => {
  const entry = tenantEntry(schema.parse({ name: "acme", keys: [] }), { ...made, hashes: [] });
  expect(entry).toMatchObject({ idleTimeoutSeconds: null, maxLifetimeSeconds: null, retentionSeconds: 0, keys: [] });
  const adminKeys = [{ name: "default", expiresAt: null, sha256: keyHash("berth_admin_x") }];
  const file = tenantsFile(7, { admin: { keys: adminKeys }, tenants: [entry], closed: ["beta"] });
  expect(JSON.parse(file)).toEqual({
    generation: 7,
    admin: { keys: [{ name: "default", expiresAt: null, sha256: keyHash("berth_admin_x") }] },
    tenants: [entry],
    closed: ["beta"],
  });
  expect(file).not.toMatch(/remove|volumes|egress|agentConfig/);
});

test("the tenants file contains the tenant's images, but not their pull secrets", () => {
  const image = `ghcr.io/acme/browser:1@sha256:${"0".repeat(64)}`;
  const images = [
    { name: "browser", image, desktop: true, command: ["run"], pullSecret: "ghcr", warmPools: { small: 1 } },
  ];
  expect(tenantEntry(schema.parse({ name: "acme", images }), made).images).toEqual([
    {
      name: "browser",
      image,
      desktop: true,
      command: ["run"],
      writableRoot: false,
      warmPools: { small: 1, medium: 0, large: 0 },
    },
  ]);
});
