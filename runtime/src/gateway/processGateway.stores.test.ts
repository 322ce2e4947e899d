/** Tests clients that attach to programs by WebSocket. A real berthd on loopback runs the programs. */
import { once } from "node:events";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import type { Config } from "../config/config.ts";
import { call, listen } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { keyOf, tenant, tenantsFile, writeTenants } from "../testing/fixtures.ts";

beforeAll(() => buildBerthd().then(() => {}));

/** A client of the program, and what the client has received so far. */
function attach(url: string, key = keyOf("acme")) {
  const socket = new WebSocket(url.replace("http", "ws"), { headers: { authorization: `Bearer ${key}` } });
  onTestFinished(() => socket.terminate());
  socket.on("error", () => {});
  const output: Buffer[] = [];
  const events: Record<string, unknown>[] = [];
  socket.on("message", (data: Buffer, isBinary) => {
    if (isBinary) output.push(data);
    else events.push(JSON.parse(data.toString()));
  });
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once("close", (code, reason) => resolve([code, String(reason)])),
  );
  return {
    socket,
    events,
    closed,
    output: (stream: number) =>
      Buffer.concat(output.filter((data) => data[0] === stream).map((data) => data.subarray(1))).toString(),
    bytes: () => output.reduce((sum, data) => sum + data.length - 1, 0),
  };
}

async function start(body: object, changes: Partial<Config> = {}) {
  const opened = await openSession(changes);
  const origin = await listen(opened.api);
  const { json } = await call(opened.api, "POST", `/v1/sessions/${opened.id}/processes`, { body });
  return { ...opened, url: `${origin}/v1/sessions/${opened.id}/processes/${json.id}/attach`, process: json.id };
}

test("a client uses a terminal, disconnects, and attaches again at the same offset", async () => {
  const { url } = await start({ command: ["sh"], env: { PS1: "" }, pty: { columns: 80, rows: 24 } });
  const first = attach(url);
  await once(first.socket, "open");
  first.socket.send(JSON.stringify({ type: "resize", columns: 100, rows: 30 }));
  // The new size and the input are two calls to berthd, so the shell may get the input first.
  first.socket.send(Buffer.from('until [ "$(stty size)" = "30 100" ]; do sleep 0.05; done; stty size\n'));
  await until("the size is shown", 30, () => first.output(3).includes("30 100\r\n"));
  const position = first.bytes();
  first.socket.terminate();

  const second = attach(`${url}?offset=${position}`);
  await once(second.socket, "open");
  second.socket.send(Buffer.from("echo again; exit 4\n"));
  expect(await second.closed).toEqual([1000, ""]);
  expect(second.output(3)).toMatch(/^echo again; exit 4\r\nagain\r\n/);
  expect(second.events.map(({ type }) => type)).toEqual(["started", "position", "ended"]);
  expect(second.events[1]).toEqual({ type: "position", offset: position, dropped: 0 });
  expect(second.events.at(-1)).toMatchObject({ exitCode: 4, timedOut: false });
});

test("stdout, stderr, input, end of input, and a signal that overtakes input which the program does not read", async () => {
  const { url, api, id } = await start({ command: ["sh", "-c", "echo err >&2; cat"], keepStdin: true });
  const cat = attach(url);
  await once(cat.socket, "open");
  cat.socket.send(Buffer.from("in"));
  cat.socket.send(JSON.stringify({ type: "end" }));
  expect(await cat.closed).toEqual([1000, ""]);
  expect([cat.output(1), cat.output(2)]).toEqual(["in", "err\n"]);

  const { json } = await call(api, "POST", `/v1/sessions/${id}/processes`, {
    body: { command: ["sleep", "1000"], keepStdin: true },
  });
  const deaf = attach(url.replace(/\d+\/attach$/, `${json.id}/attach`));
  await once(deaf.socket, "open");
  for (let sent = 0; sent < 3; sent += 1) deaf.socket.send(Buffer.alloc(65_536));
  deaf.socket.send(JSON.stringify({ type: "signal", signal: "SIGKILL" }));
  await deaf.closed;
  expect(deaf.events.at(-1)).toMatchObject({ type: "ended", signal: 9 });
});

test("an invalid message closes with 4400, and a control that fails is refused with a reason", async () => {
  const { url } = await start({ command: ["sleep", "1000"] });
  const client = attach(url);
  await once(client.socket, "open");
  client.socket.send(JSON.stringify({ type: "resize", columns: 1, rows: 1 }));
  await until("it is refused", 30, () => client.events.some(({ type }) => type === "refused"));
  expect(client.events.at(-1)).toEqual({ type: "refused", detail: "The program has no terminal." });
  for (const text of ["{", "{}", '{"type":"resize","columns":0,"rows":1}', '{"type":"signal","signal":"9"}', "[]"]) {
    const another = attach(url);
    await once(another.socket, "open");
    another.socket.send(text);
    expect((await another.closed)[0], text).toBe(4400);
  }
});

test("errors are reported over HTTP before the upgrade; the audit trail says who attached", async () => {
  const { url, api, id, process } = await start({ command: ["sleep", "1000"] });
  const refusal = async (address: string, key?: string) => {
    const { socket } = attach(address, key);
    const [, response] = await once(socket, "unexpected-response");
    return response.statusCode;
  };
  expect(await refusal(url, keyOf("beta"))).toBe(404);
  expect(await refusal(url, "berth_acme_wrong")).toBe(401);
  expect(await refusal(url.replace(/\d+\/attach/, "999/attach"))).toBe(404);
  expect(await refusal(url.replace(/\d+\/attach/, "x/attach"))).toBe(400);
  expect(await refusal(`${url}?offset=-1`)).toBe(400);
  const client = attach(url);
  await once(client.socket, "open");
  await api.database.updateTable("sessions").set({ state: "suspended" }).where("id", "=", id).execute();
  expect(await refusal(url)).toBe(409);
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 100);
  expect(events.at(-1)).toMatchObject({
    type: "process",
    reason: `is attached to the process ${process}`,
    actor: "key:default",
  });
});

test("a client is disconnected when its key is removed", async () => {
  const file = tenantsFile(tenant("acme"));
  const { url } = await start({ command: ["sleep", "1000"] }, { TENANTS_FILE: file });
  const client = attach(url);
  await once(client.socket, "open");
  writeTenants(file, [tenant("acme", { keys: [] })]);
  expect(await client.closed).toEqual([4401, "The key default has been removed."]);
});
