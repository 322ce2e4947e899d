/** Tests the API's calls that list webhook deliveries which have not arrived, and send them again. */
import { sql } from "kysely";
import { expect, test } from "vitest";
import { DeliveryStore } from "../store/deliveryStore.ts";
import { call, openApi } from "../testing/api.ts";
import { adminKey, keyOf, sha256, tenant } from "../testing/fixtures.ts";

const readKey = "berth_acme_read0123456789abcdef";
const webhooks = [{ url: "https://hooks.example/a?token=hush", secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" }];

/**
 * Opens the API with the two tenants acme and beta, and makes as many sessions of each tenant as its parameter says. Each session
 * has one dead delivery. Nothing is sent.
 */
async function open({ acme = 2, beta = 1 } = {}) {
  const acmeTenant = tenant("acme", {
    webhooks,
    keys: [
      { name: "default", sha256: sha256(keyOf("acme")) },
      { name: "reader", sha256: sha256(readKey), scopes: ["read"] },
    ],
  });
  const tenants = [acmeTenant, tenant("beta", { webhooks })];
  const api = await openApi({}, tenants);
  for (const [name, count] of Object.entries({ acme, beta })) {
    for (let made = 0; made < count; made += 1) {
      await call(api, "POST", "/v1/sessions", { key: keyOf(name), body: { tier: "small" } });
    }
  }
  const byName = new Map(tenants.map((one) => [one.name, one]));
  await new DeliveryStore(api.database).fanOut({ get: (name) => byName.get(name), generation: 0 });
  await sql`update webhook_deliveries set state = 'dead', attempts = 12, last_error = 'answered 500'`.execute(
    api.database,
  );
  const list = (key: string, query = "") => call(api, "GET", `/v1/webhook-deliveries${query}`, { key });
  return { api, list };
}

test("a tenant lists its own deliveries, and the admin those of all", async () => {
  const { list } = await open();
  const own = await list(readKey);
  expect(own.json.items).toHaveLength(2);
  expect(own.json.items[0]).toMatchObject({ tenant: "acme", state: "dead", url: "https://hooks.example/a" });
  expect((await list(keyOf("beta"))).json.items).toHaveLength(1);
  expect((await list(adminKey)).json.items).toHaveLength(3);
  expect((await list(adminKey, "?tenant=beta")).json.items).toHaveLength(1);
  expect((await list(readKey, "?tenant=acme")).json.items).toHaveLength(2);
  const other = await list(readKey, "?tenant=beta");
  expect([other.status, other.json.errors]).toEqual([
    400,
    [{ field: "tenant", rule: "must be a tenant that this key may read" }],
  ]);
});

test("pages contain each delivery once, and the position of another tenant is refused", async () => {
  const { list } = await open({ acme: 5 });
  const ids: string[] = [];
  for (let cursor = ""; ; ) {
    const { json } = await list(readKey, `?limit=2${cursor}`);
    ids.push(...json.items.map(({ id }: { id: string }) => id));
    if (json.nextCursor === null) break;
    cursor = `&cursor=${json.nextCursor}`;
  }
  expect([ids.length, new Set(ids).size]).toEqual([5, 5]);
  expect((await list(keyOf("beta"), `?cursor=${ids[0]}`)).status).toBe(400);
});

test("a tenant sends its own delivery again, and no other tenant's", async () => {
  const { api, list } = await open();
  const [{ id }] = (await list(readKey)).json.items;
  const again = (key: string, of = id) => call(api, "POST", `/v1/webhook-deliveries/${of}/redeliver`, { key });
  expect((await again(keyOf("beta"))).status).toBe(404);
  expect((await again(readKey)).status).toBe(403);
  const { status, json } = await again(keyOf("acme"));
  expect([status, json.state, json.attempts]).toEqual([202, "pending", 0]);
  expect((await again(adminKey)).status).toBe(202);
});

test("a tenant sends all its dead deliveries again by one call", async () => {
  const { api, list } = await open({ acme: 3 });
  const again = (key: string) => call(api, "POST", "/v1/webhook-deliveries/redeliver", { key });
  expect((await again(readKey)).status).toBe(403);
  expect(await again(keyOf("acme"))).toMatchObject({ status: 202, json: { count: 3 } });
  expect(await again(keyOf("acme"))).toMatchObject({ status: 202, json: { count: 0 } });
  const states = (await list(adminKey)).json.items.map((one: { tenant: string; state: string }) => [
    one.tenant,
    one.state,
  ]);
  expect(states.sort()).toEqual([...Array(3).fill(["acme", "pending"]), ["beta", "dead"]]);
});
