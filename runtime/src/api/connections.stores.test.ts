/** Tests the API's list of open connections into a session. A real berthd on loopback serves the session. */
import { once } from "node:events";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { call, listen } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { keyOf, sha256, tenant } from "../testing/fixtures.ts";

beforeAll(() => buildBerthd().then(() => {}));

const readKey = `${keyOf("acme")}r`;

async function open() {
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "reader", sha256: sha256(readKey), scopes: ["read" as const, "desktop" as const] },
  ];
  const { api, id } = await openSession({}, [tenant("acme", { keys, exec: true }), tenant("beta")]);
  const origin = await listen(api);
  const { json } = await call(api, "POST", `/v1/sessions/${id}/processes`, { body: { command: ["sleep", "1000"] } });
  const connections = `/v1/sessions/${id}/connections`;
  const list = async (count: number) => {
    const items = async () => (await call(api, "GET", connections, { key: readKey })).json.items;
    return until(`${count} are listed`, 10, items, (all) => all.length === count);
  };
  const attach = async (path: string) => {
    const socket = new WebSocket(`${origin.replace("http", "ws")}/v1/sessions/${id}/${path}`, {
      headers: { authorization: `Bearer ${keyOf("acme")}` },
    });
    onTestFinished(() => socket.terminate());
    const closed = once(socket, "close").then(([code, reason]) => [code, String(reason)]);
    await once(socket, "open");
    return { closed };
  };
  return { api, id, origin, process: String(json.id), connections, list, attach };
}

test("attached programs and commands are listed with the users who opened them, and can be closed with the right scope", async () => {
  const { api, id, connections, process, list, attach } = await open();
  const attached = await attach(`processes/${process}/attach`);
  await list(1);
  const command = await attach("exec?command=sleep&command=1000");
  const [first, second] = await list(2);
  const opened = { by: "key:default", address: "127.0.0.1", mode: null, port: null, since: expect.any(String) };
  expect([first, second]).toEqual([
    { ...opened, id: expect.any(String), kind: "process", process },
    { ...opened, id: expect.any(String), kind: "exec", process: null },
  ]);
  for (const [key, status] of [
    [keyOf("beta"), 404],
    [readKey, 403],
  ] as const) {
    expect((await call(api, "DELETE", `${connections}/${first.id}`, { key })).status).toBe(status);
  }
  expect((await call(api, "GET", connections, { key: keyOf("beta") })).status).toBe(404);
  expect((await call(api, "DELETE", `${connections}/${id}`)).status).toBe(404);
  expect((await call(api, "DELETE", `${connections}/x`)).status).toBe(400);
  expect((await call(api, "DELETE", `${connections}/${first.id}`)).status).toBe(204);
  expect(await attached.closed).toEqual([4403, "A user has closed this connection through the API."]);
  expect(await list(1)).toEqual([second]);
  await call(api, "DELETE", `${connections}/${second.id}`);
  expect((await command.closed)[0]).toBe(4403);
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 100);
  expect(events.slice(-2)).toMatchObject([
    { type: "process", actor: "key:default", reason: "closes the connection of key:default" },
    { type: "process", actor: "key:default", reason: "closes the connection of key:default" },
  ]);
});

test("an event stream of a program is listed too, and its last message says why it ends", async () => {
  const { api, id, origin, connections, process, list } = await open();
  const response = await fetch(`${origin}/v1/sessions/${id}/processes/${process}/output`, {
    headers: { authorization: `Bearer ${keyOf("acme")}` },
  });
  const text = response.text();
  const [one] = await list(1);
  expect(one).toMatchObject({ kind: "process", process });
  expect((await call(api, "DELETE", `${connections}/${one.id}`)).status).toBe(204);
  expect(await text).toMatch(/event: problem\ndata: .*A user has closed this connection through the API/);
  await list(0);
});
