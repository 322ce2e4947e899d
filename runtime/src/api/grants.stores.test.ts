/** Tests that tickets and links can be listed and revoked, and that a session can have only a limited number of them. */
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { grantsOfSession } from "../store/grants.ts";
import { call, openApi } from "../testing/api.ts";
import { keyOf, sha256, tenant, tokenKey } from "../testing/fixtures.ts";

async function open() {
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "reader", sha256: sha256(`${keyOf("acme")}r`), scopes: ["read" as const] },
  ];
  const api = await openApi({}, [tenant("acme", { keys }), tenant("beta")]);
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  await api.database.updateTable("sessions").set({ state: "running", pod_ip: "127.0.0.1" }).execute();
  return { api, id, session: `/v1/sessions/${id}` };
}

test("valid tickets are listed without their secret; a revoked ticket opens nothing, and others keep working", async () => {
  const { api, id, session } = await open();
  const tickets = `${session}/desktop-tickets`;
  const make = async (mode: string) => (await call(api, "POST", tickets, { body: { mode } })).json;
  const [use, view] = [await make("interactive"), await make("view")];
  const list = async () => (await call(api, "GET", tickets, { key: `${keyOf("acme")}r` })).json.items;
  const made = { madeBy: "key:default", address: "127.0.0.1", madeAt: expect.any(String) };
  expect(await list()).toEqual([
    { ...made, id: view.id, mode: "view", expiresAt: view.expiresAt },
    { ...made, id: use.id, mode: "interactive", expiresAt: use.expiresAt },
  ]);
  const reads = async (key: string) => (await call(api, "GET", session, { key })).status;
  expect(await reads(use.ticket)).toBe(200);
  const revoke = async (of: string, key?: string) =>
    (await call(api, "DELETE", `${tickets}/${of}`, key === undefined ? {} : { key })).status;
  expect(await revoke(use.id, keyOf("beta"))).toBe(404);
  expect(await revoke(use.id, `${keyOf("acme")}r`)).toBe(403);
  expect(await revoke("x")).toBe(400);
  expect(await reads(use.ticket)).toBe(200);
  expect(await revoke(use.id)).toBe(204);
  expect(await revoke(use.id)).toBe(404);
  expect([await reads(use.ticket), await reads(view.ticket)]).toEqual([401, 200]);
  expect(await list()).toMatchObject([{ id: view.id }]);
  await api.database
    .updateTable("grants")
    .set({ expires_at: sql`now()` } as never)
    .execute();
  expect(await list()).toEqual([]);
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 100);
  expect(events.at(-1)).toMatchObject({ type: "ticket", reason: `revokes the ticket ${use.id}`, actor: "key:default" });
});

test("links to files are listed and revoked too", async () => {
  const { api, session } = await open();
  const links = `${session}/files/links`;
  const body = { path: "a.txt", access: "read", lifetimeSeconds: 60 };
  const { id, url } = (await call(api, "POST", links, { body })).json;
  expect((await call(api, "GET", links)).json.items).toMatchObject([
    { id, path: "a.txt", access: "read", madeBy: "key:default" },
  ]);
  const use = async () => (await call(api, "GET", url.replace("http://berth.example", ""), { key: "" })).status;
  expect(await use()).not.toBe(401);
  expect((await call(api, "DELETE", `${session}/desktop-tickets/${id}`)).status).toBe(404);
  expect((await call(api, "DELETE", `${links}/${id}`)).status).toBe(204);
  expect(await use()).toBe(401);
  expect((await call(api, "GET", links)).json.items).toEqual([]);
});

test("a ticket that the database does not know is refused, unless it is older than the table", async () => {
  const { api, id, session } = await open();
  const { ticket } = (await call(api, "POST", `${session}/desktop-tickets`)).json;
  await api.database.deleteFrom("grants").execute();
  const reads = async (key: string) => (await call(api, "GET", session, { key })).status;
  expect(await reads(ticket)).toBe(401);
  const old = await new SignJWT({ tenant: "acme", mode: "view" })
    .setProtectedHeader({ alg: "HS256" })
    .setSubject(id)
    .setAudience("berth-desktop")
    .setJti(randomUUID())
    .setExpirationTime("5m")
    .sign(new TextEncoder().encode(tokenKey));
  expect(await reads(old)).toBe(200);
});

test("a session has a limited number of tickets, and those that ended a while ago no longer count", async () => {
  const { api, id, session } = await open();
  const fill = (expires: string) =>
    sql`insert into grants (id, session_id, kind, access, made_by, expires_at)
      select gen_random_uuid(), ${id}::uuid, 'desktop', 'view', 'test', now() + ${expires}::interval
      from generate_series(1, ${grantsOfSession}::integer)`.execute(api.database);
  await fill("1 minute");
  const make = () => call(api, "POST", `${session}/desktop-tickets`);
  const full = await make();
  expect([full.status, full.headers["retry-after"]]).toEqual([429, "60"]);
  await api.database
    .updateTable("grants")
    .set({ expires_at: sql`now() - interval '1 hour'` } as never)
    .execute();
  expect((await make()).status).toBe(201);
  const { count } = await api.database
    .selectFrom("grants")
    .select(({ fn }) => fn.countAll<string>().as("count"))
    .executeTakeFirstOrThrow();
  expect(Number(count)).toBe(1);
});
