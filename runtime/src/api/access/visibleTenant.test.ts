import { expect, test } from "vitest";
import { keyOf, tenant } from "../../testing/fixtures.ts";
import type { CallerInfo } from "./caller.ts";
import { keyCredential } from "./credential.ts";
import { maySee, visibleTenant } from "./visibleTenant.ts";

const actor = { name: "somebody" };
const admin: CallerInfo = { role: "admin", actor };
const credential = keyCredential("acme", "default", keyOf("acme"), ["read"]);
const acme: CallerInfo = { role: "tenant", tenant: tenant("acme"), scopes: ["read"], actor, credential };

test("a tenant sees its own data and no other tenant's; the admin sees the data of all", () => {
  expect([maySee(acme, "acme"), maySee(acme, "beta"), maySee(admin, "beta")]).toEqual([true, false, true]);
  expect([visibleTenant(acme), visibleTenant(acme, "acme")]).toEqual(["acme", "acme"]);
  expect(() => visibleTenant(acme, "beta")).toThrow(
    expect.objectContaining({
      status: 400,
      body: expect.objectContaining({ detail: "tenant must be a tenant that this key may read." }),
    }),
  );
  expect([visibleTenant(admin), visibleTenant(admin, "beta")]).toEqual([undefined, "beta"]);
});
