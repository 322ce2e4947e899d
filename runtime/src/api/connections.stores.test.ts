/** Tests the API's list of open connections into a session. A real berthd on loopback serves the session. */
import { once } from "node:events";
import { truncateSync, writeFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { call, fakeCluster, listen } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { keyOf, sha256, tenant } from "../testing/fixtures.ts";

beforeAll(() => buildBerthd().then(() => {}));

const readKey = `${keyOf("acme")}r`;

async function open() {
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "reader", sha256: sha256(readKey), scopes: ["read" as const, "desktop" as const] },
  ];
  const { api, id, berthd } = await openSession({}, [tenant("acme", { keys, exec: true }), tenant("beta")]);
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
  return { api, id, berthd, origin, process: String(json.id), connections, list, attach };
}

test("attached programs and commands are listed with the users who opened them, and can be closed with the right scope", async () => {
  const { api, id, connections, process, list, attach } = await open();
  const attached = await attach(`processes/${process}/attach`);
  await list(1);
  const command = await attach("exec?command=sleep&command=1000");
  const [first, second] = await list(2);
  const none = { mode: null, port: null, path: null };
  const opened = { ...none, by: "key:default", address: "127.0.0.1", since: expect.any(String) };
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

test("transfers, watches, followed logs and commands that somebody waits for are listed and closed too", async () => {
  await fakeCluster(() => ({ status: 200, body: "a line\n", goesOn: true }));
  const { api, id, berthd, origin, connections, list } = await open();
  const large = join(berthd.workspace, "large");
  writeFileSync(large, "");
  truncateSync(large, 256 * 1024 * 1024); // more than the sockets hold while the client does not read
  const why = "A user has closed this connection through the API.";
  const headers = { authorization: `Bearer ${keyOf("acme")}`, "content-type": "application/json" };
  for (const [method, path, body, listed, status, end] of [
    ["POST", "commands", '{"command": ["sleep", "1000"]}', { kind: "command", path: null, mode: null }, 403, why],
    ["GET", "files/watch?path=.", "", { kind: "watch", path: "." }, 200, why],
    ["GET", "logs?follow=true", "", { kind: "log" }, 200, `a line\nberth-api: the log ends here: ${why}`],
    ["PUT", "files?path=new", undefined, { kind: "file", mode: "write", path: "new" }, 403, why],
    ["PUT", "files/archive?path=b", undefined, { kind: "file", mode: "write", path: "b" }, 403, why],
    ["GET", "files?path=large", "", { kind: "file", mode: "read", path: "large" }, 200, "cut off"],
    ["GET", "files/archive?path=large", "", { kind: "file", mode: "read", path: "large" }, 200, "cut off"],
  ] as const) {
    const request = httpRequest(`${origin}/v1/sessions/${id}/${path}`, { method, headers }).on("error", () => {});
    const answered = once(request, "response") as Promise<[IncomingMessage]>;
    if (body === undefined) request.write("the first bytes");
    else request.end(body);
    const [one] = await list(1);
    expect(one).toMatchObject({ ...listed, by: "key:default" });
    expect((await call(api, "DELETE", `${connections}/${one.id}`)).status).toBe(204);
    const [response] = await answered;
    const text = await response.toArray().then(
      (chunks) => Buffer.concat(chunks).toString(),
      () => "cut off",
    );
    expect([path, response.statusCode, text]).toEqual([path, status, expect.stringContaining(end)]);
    await list(0);
  }
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 100);
  const closes = events.filter(({ reason }) => reason === "closes the connection of key:default");
  expect(closes.map(({ type }) => type)).toEqual(["process", "file", "log", "file", "file", "file", "file"]);
});
