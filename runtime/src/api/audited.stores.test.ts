/** Actions of users that don't change a session are in the audit trail too. */
import { expect, test } from "vitest";
import { call, fakeCluster, openApi } from "../testing/api.ts";

test("making a ticket and reading the log are in the audit trail, but are not sent to webhooks", async () => {
  await fakeCluster(() => ({ status: 200, body: "a line of the log\n" }));
  const api = await openApi();
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const before = await api.store.trail.newestId();
  const { ticket } = (await call(api, "POST", `/v1/sessions/${id}/desktop-tickets`, { body: { mode: "view" } })).json;
  await api.database.updateTable("sessions").set({ state: "running" }).execute();
  await call(api, "GET", `/v1/sessions/${id}/logs`);
  const { jti } = JSON.parse(Buffer.from(ticket.split(".")[1], "base64url").toString());
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, before, 10);
  expect(events.map(({ type, reason, actor, address, state }) => [type, reason, actor, address, state])).toEqual([
    ["ticket", `makes the ticket ${jti} to watch the desktop`, "key:default", "127.0.0.1", "queued"],
    ["log", "reads the log", "key:default", "127.0.0.1", "running"],
  ]);
  expect(JSON.stringify(events)).not.toMatch(/eyJ|a line of the log/);
});
