/** Tests commands that clients run with Kubernetes' protocol. A real berthd on loopback runs the commands. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { call, listen, openApi } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { adminKey, keyOf, sha256, tenant, tenantsFile, writeTenants } from "../testing/fixtures.ts";

beforeAll(() => buildBerthd().then(() => {}));

interface Refusal {
  status: number | undefined;
  problem: { detail: string; errors?: { field: string }[] };
}

/** The refusal of the upgrade. The test fails if the upgrade succeeds. */
function refusal(url: string, key: string): Promise<Refusal> {
  const socket = new WebSocket(url.replace("http", "ws"), { headers: { authorization: `Bearer ${key}` } });
  return new Promise((resolve, reject) => {
    socket.on("error", () => {});
    socket.once("open", () => reject(new Error("it was let in")));
    socket.once("unexpected-response", async (_request, response) => {
      const text = Buffer.concat(await response.toArray()).toString();
      resolve({ status: response.statusCode, problem: JSON.parse(text) });
    });
  });
}

/** A command, and its output so far by channel. */
async function run(origin: string, id: string, command: string[], more = "") {
  const query = command.map((argument) => `command=${encodeURIComponent(argument)}`).join("&");
  const url = `${origin.replace("http", "ws")}/v1/sessions/${id}/exec?${query}${more}`;
  const socket = new WebSocket(url, ["v5.channel.k8s.io"], { headers: { authorization: `Bearer ${keyOf("acme")}` } });
  onTestFinished(() => socket.terminate());
  const said: Record<number, string> = {};
  socket.on("message", (data: Buffer) => {
    said[data[0] ?? -1] = (said[data[0] ?? -1] ?? "") + data.subarray(1).toString();
  });
  const closed = new Promise<[number, string]>((resolve) =>
    socket.once("close", (code, reason) => resolve([code, String(reason)])),
  );
  await once(socket, "open");
  const send = (channel: number, text: string | Buffer) =>
    socket.send(Buffer.concat([Buffer.of(channel), Buffer.from(text)]));
  return { socket, said, closed, send };
}

const withExec = () => [tenant("acme", { exec: true })];

test("commands are off unless the tenant's config allows them, and need their scope, a running session and a command", async () => {
  const readOnly = `${keyOf("acme")}r`;
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "read", sha256: sha256(readOnly), scopes: ["read" as const] },
  ];
  const api = await openApi({}, [tenant("acme", { exec: true, keys }), tenant("beta")]);
  const origin = await listen(api);
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  const url = `${origin}/v1/sessions/${id}/exec`;

  expect((await refusal(`${url}?command=ls`, keyOf("beta"))).problem.detail).toBe(
    "Commands are off for the tenant beta: its config must have exec: true.",
  );
  expect((await refusal(`${url}?command=ls`, readOnly)).status).toBe(403);
  expect((await refusal(`${url}?command=ls`, adminKey)).status).toBe(403);
  expect((await refusal(`${url}?command=ls`, "berth_acme_wrong")).status).toBe(401);
  expect((await refusal(`${url}?command=ls`, keyOf("acme"))).status).toBe(409);
  const missing = `${origin}/v1/sessions/00000000-0000-4000-8000-000000000000/exec`;
  expect((await refusal(`${missing}?command=ls`, keyOf("acme"))).status).toBe(404);
  for (const [query, field] of [
    ["", "command"],
    ["?command=ls&tty=maybe", "tty"],
    ["?command=ls&shell=1", "shell"],
    ["?command=%00", "command.0"],
    [`?${"command=x&".repeat(65)}`, "command"],
  ]) {
    const { status, problem } = await refusal(url + query, keyOf("acme"));
    expect([status, problem.errors?.[0]?.field]).toEqual([400, field]);
  }
});

test("a command gets its input, its outputs and exit code are reported, and the audit trail has it", async () => {
  const { api, id } = await openSession({}, withExec());
  const origin = await listen(api);
  const script = "cat; echo problem >&2; exit 3";
  const { said, send, closed } = await run(origin, id, ["sh", "-c", script]);
  send(0, "what I say\n");
  send(255, Buffer.of(0));
  expect(await closed).toEqual([1000, ""]);
  expect([said[1], said[2]]).toEqual(["what I say\n", "problem\n"]);
  expect(JSON.parse(said[3] ?? "{}")).toMatchObject({
    status: "Failure",
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  });
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "0", 10);
  expect(events.at(-1)).toMatchObject({
    ...{ type: "command", reason: `sh -c "${script}"`, state: "running", actor: "key:default", address: "127.0.0.1" },
  });
  const fine = await run(origin, id, ["true"]);
  await fine.closed;
  expect(JSON.parse(fine.said[3] ?? "{}")).toMatchObject({ kind: "Status", status: "Success" });
});

test("a terminal has the client's size; a command that can't be started is refused before the upgrade", async () => {
  const { api, id } = await openSession({}, withExec());
  const origin = await listen(api);
  const { said, send, closed } = await run(origin, id, ["sh"], "&tty=true");
  send(4, '{"Width":100,"Height":30}');
  // The new size and the input are two calls to berthd, so the shell may get the input first.
  send(0, 'until [ "$(stty size)" = "30 100" ]; do sleep 0.05; done; stty size; exit\n');
  expect(await until("the shell has ended", 30, () => closed)).toEqual([1000, ""]);
  expect(said[1]).toContain("30 100\r\n");
  const { status, problem } = await refusal(`${origin}/v1/sessions/${id}/exec?command=no-such`, keyOf("acme"));
  expect([status, problem.errors?.[0]?.field]).toEqual([400, "command"]);
  const wrong = await run(origin, id, ["sleep", "1000"]);
  wrong.send(9, "x");
  expect(await wrong.closed).toEqual([4400, "A client can't send on channel 9."]);
});

test("when a client disconnects, its command gets SIGHUP", async () => {
  const { api, id, berthd } = await openSession({}, withExec());
  const origin = await listen(api);
  const file = join(berthd.scratch, "alive");
  const script = `trap 'rm ${file}; exit' HUP; touch ${file}; while true; do sleep 0.05; done`;
  const { socket } = await run(origin, id, ["sh", "-c", script]);
  await until("it runs", 30, () => existsSync(file));
  socket.terminate();
  await until("the command got SIGHUP", 30, () => !existsSync(file));
});

test("a command ends when its key is removed or commands are switched off", async () => {
  for (const [now, reason] of [
    [tenant("acme", { exec: true, keys: [] }), "The key default has been removed."],
    [tenant("acme", { exec: false }), "Commands are off for the tenant acme: its config must have exec: true."],
  ] as const) {
    const file = tenantsFile(...withExec());
    const { api, id } = await openSession({ TENANTS_FILE: file });
    const { closed } = await run(await listen(api), id, ["sleep", "1000"]);
    writeTenants(file, [now]);
    expect(await closed).toEqual([4401, reason]);
  }
});
