/** Tests requests in the form that clients and proxies really send. */

import { once } from "node:events";
import { Agent, get, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { until } from "@berth/testing/until.ts";
import { expect, onTestFinished, test } from "vitest";
import { call, listen, openApi } from "../../testing/api.ts";
import { keyOf } from "../../testing/fixtures.ts";

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

test.each([
  ["without a key", "/v1/openapi.json", {}, []],
  ["with a wrong one", "/v1/sessions", { authorization: "Bearer berth_acme_wrong" }, []],
  ["that only asks after its health", "/health/live", {}, []],
  ["with a key", "/v1/sessions", { authorization: `Bearer ${keyOf("acme")}` }, []],
  ["by a proxy that is believed", "/v1/openapi.json", {}, ["127.0.0.1"]],
])(
  "a connection %s serves more requests, and may be idle for 10 s only if no known proxy is behind it",
  async (who, path, headers, TRUSTED_PROXIES) => {
    const api = await openApi({ TRUSTED_PROXIES });
    const sockets: Socket[] = [];
    api.app.getHttpServer().on("connection", (socket: Socket) => sockets.push(socket));
    const origin = await listen(api);
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    onTestFinished(() => agent.destroy());
    const isKnown = who === "with a key" || TRUSTED_PROXIES.length > 0;
    for (let times = 0; times < 2; times += 1) {
      const [response] = (await once(get(origin + path, { agent, headers }), "response")) as [IncomingMessage];
      await response.toArray();
      const idleMs = () => sockets[0]?.timeout ?? 0;
      await until("it is idle", 20, idleMs, (ms) => (isKnown ? ms > 60_000 : ms === 10_000));
    }
    expect(sockets).toHaveLength(1);
  },
);
