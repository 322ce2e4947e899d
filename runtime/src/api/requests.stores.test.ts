/** Requests as clients and proxies really send them. */
import { expect, test } from "vitest";
import { call, openApi } from "../testing/api.ts";

test.each([
  ["no length", {}],
  ["chunks", { "transfer-encoding": "chunked" }],
])("a request without a body is taken, although it says that its body is JSON, with %s", async (_, length) => {
  const api = await openApi();
  const json = { "content-type": "application/json", ...length };
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  expect((await call(api, "POST", `/v1/sessions/${id}/touch`, { headers: json })).status).toBe(204);
  expect((await call(api, "POST", `/v1/sessions/${id}/desktop-tickets`, { headers: json })).status).toBe(201);
  expect((await call(api, "DELETE", `/v1/sessions/${id}`, { headers: json })).status).toBe(202);
  const refused = await call(api, "POST", "/v1/sessions", { headers: json });
  expect(refused).toMatchObject({ status: 400, json: { errors: [{ field: "body" }] } });
});

test.each([
  ["192.0.2.7:51000", "192.0.2.7"],
  ["[2001:db8::7]:51000", "2001:db8::7"],
  ["2001:db8::7", "2001:db8::7"],
  ["unknown", null],
])("a proxy that names its client %s makes no 500, and the audit trail has the address %s", async (named, address) => {
  const api = await openApi({ TRUSTED_PROXIES: ["127.0.0.1"] });
  const headers = { "x-forwarded-for": named };
  const made = await call(api, "POST", "/v1/sessions", { body: { tier: "small" }, headers });
  expect(made.status).toBe(201);
  expect(await api.database.selectFrom("session_events").select("address").execute()).toEqual([{ address }]);
});
