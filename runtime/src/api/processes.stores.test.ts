/** The API's calls that start and control programs in sessions. A real berthd on loopback runs the programs. */
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { createServer } from "node:net";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { PodServices } from "../berthd/podServices.ts";
import { call, listen, type OpenApi, openApi } from "../testing/api.ts";
import { buildBerthd, liveHeapBytes, openDescriptors, openSession, runsHere } from "../testing/berthd.ts";
import { adminKey, keyOf, sha256, tenant } from "../testing/fixtures.ts";
import { freePorts } from "../testing/ports.ts";
import { Streams } from "./http/streams.ts";
import type { ProcessEventJson } from "./processJson.ts";

beforeAll(() => buildBerthd().then(() => {}));

const sh = (script: string) => ["sh", "-c", script];

/** Calls the API for the session. */
const callerOf = (api: OpenApi, id: string) => (method: "GET" | "POST", path: string, body?: unknown, key?: string) =>
  call(api, method, `/v1/sessions/${id}/${path}`, {
    ...(body !== undefined && { body }),
    ...(key !== undefined && { key }),
  });

/**
 * Opens a stream of Server-Sent Events. `messages()` and `output()` return what has arrived until the moment of the call; each
 * further call returns more. `end()` cuts the connection.
 */
async function eventsOf(url: string, headers: Record<string, string> = {}) {
  const request = httpRequest(url, { headers: { authorization: `Bearer ${keyOf("acme")}`, ...headers } });
  request.on("error", () => {});
  const response = await new Promise<IncomingMessage>((resolve) => request.once("response", resolve).end());
  onTestFinished(() => void response.destroy());
  let text = "";
  response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  response.on("error", () => {});
  const messages = () =>
    text.split("\n\n").flatMap((message) => {
      const [, id] = /^id: (.*)$/m.exec(message) ?? [];
      const [, data] = /^data: (.*)$/m.exec(message) ?? [];
      return data === undefined ? [] : [{ id, event: JSON.parse(data) as ProcessEventJson }];
    });
  const output = () =>
    messages()
      .map(({ event }) => (event.type === "output" ? (event.text ?? "") : ""))
      .join("");
  return { response, messages, output, end: () => response.destroy() };
}

test("a command runs and the caller waits: output, exit code, folder, environment and stdin are right", async () => {
  const { api, id, berthd } = await openSession();
  const ask = callerOf(api, id);
  const run = (body: object) => ask("POST", "commands", body);

  expect(await run({ command: sh("echo out; echo err >&2; exit 3") })).toMatchObject({
    status: 200,
    json: { exitCode: 3, signal: null, timedOut: false, stdout: "out\n", stderr: "err\n", outputBytes: 8 },
  });
  writeFileSync(join(berthd.scratch, "here"), "");
  expect((await run({ command: ["ls"], cwd: berthd.scratch })).json.stdout).toBe("here\n");
  expect((await run({ command: sh("echo $A; cat"), env: { A: "b c" }, stdin: "in" })).json.stdout).toBe("b c\nin");
  expect((await run({ command: ["printf", "\\377"], encoding: "base64" })).json.stdout).toBe("/w==");
  expect((await run({ command: sh("yes"), outputLimitBytes: 10, timeoutSeconds: 1 })).json).toMatchObject({
    stdout: "y\ny\ny\ny\ny\n",
    timedOut: true,
    exitCode: 143,
    signal: 15,
    discardedBytes: expect.any(Number),
  });
});

test("a program or folder that does not exist is an error that names the field", async () => {
  const { api, id } = await openSession();
  const ask = callerOf(api, id);
  for (const path of ["commands", "processes"]) {
    const missing = await ask("POST", path, { command: ["no-such-program"] });
    expect([missing.status, missing.json.errors[0].field]).toEqual([400, "command"]);
    const nowhere = await ask("POST", path, { command: ["true"], cwd: "/no/such/folder" });
    expect([nowhere.status, nowhere.json.errors[0].field]).toEqual([400, "cwd"]);
  }
  for (const [body, field] of [
    [{}, "command"],
    [{ command: [] }, "command"],
    [{ command: ["a\0b"] }, "command.0"],
    [{ command: ["a"], env: { "a=b": "c" } }, "env.a=b"],
    [{ command: ["a"], timeoutSeconds: 0 }, "timeoutSeconds"],
    [{ command: ["a"], pty: { columns: 0, rows: 1 } }, "pty.columns"],
    [{ command: ["a"], tag: "\n" }, "tag"],
    [{ command: ["a"], shell: true }, "shell"],
  ] as const) {
    const { status, json } = await ask("POST", "processes", body);
    expect([status, json.errors[0].field]).toEqual([400, field]);
  }
});

test("a program continues when its watcher's connection is lost, and can be watched again from there", async () => {
  const { api, id, berthd } = await openSession();
  const origin = await listen(api);
  const ask = callerOf(api, id);
  const go = join(berthd.scratch, "go");
  const script = `echo one; while [ ! -e ${go} ]; do sleep 0.05; done; echo two; exit 7`;
  const started = await ask("POST", "processes", { command: sh(script), tag: "build 1" });
  expect(started).toMatchObject({
    status: 201,
    json: { command: sh(script), tag: "build 1", pty: false, ended: null, cwd: berthd.workspace },
  });
  expect(started.headers.location).toBe(`http://berth.example/v1/sessions/${id}/processes/${started.json.id}`);
  const url = `${origin}/v1/sessions/${id}/processes/${started.json.id}/output`;

  const first = await eventsOf(url);
  await until("the first line is there", 30, () => first.output() === "one\n");
  const last = first.messages().at(-1)?.id ?? "";
  first.end();
  writeFileSync(go, "");
  const second = await eventsOf(url, { "last-event-id": last });
  await until("the program has ended", 30, () => second.messages().some(({ event }) => event.type === "ended"));
  expect(second.output()).toBe("two\n");
  expect(second.messages().at(-1)).toMatchObject({ id: "8", event: { type: "ended", exitCode: 7, dropped: 0 } });
  // The output can be read from any offset, and again from the beginning.
  const third = await eventsOf(url);
  await until("all of it is there", 30, () => third.output() === "one\ntwo\n");
  const { items } = (await ask("GET", "processes")).json;
  expect(items).toMatchObject([{ id: started.json.id, ended: { exitCode: 7 }, outputBytes: 8 }]);
});

test("a caller who disconnects during a command finds the command again by its tag", async () => {
  const { api, id, berthd } = await openSession();
  const origin = await listen(api);
  const ask = callerOf(api, id);
  const go = join(berthd.scratch, "go");
  const done = join(berthd.scratch, "done");
  const script = `while [ ! -e ${go} ]; do sleep 0.05; done; echo end; touch ${done}`;
  const body = JSON.stringify({ command: sh(script), tag: "mine" });
  const headers = { authorization: `Bearer ${keyOf("acme")}`, "content-type": "application/json" };
  const request = httpRequest(`${origin}/v1/sessions/${id}/commands`, { method: "POST", headers });
  request.on("error", () => {});
  request.end(body);
  const find = async () =>
    (await ask("GET", "processes")).json.items.find(({ tag }: { tag: string }) => tag === "mine");
  const found = await until("it runs", 30, find);
  request.destroy();
  writeFileSync(go, "");
  await until("it has ended by itself", 30, () => existsSync(done));
  const events = await eventsOf(`${origin}/v1/sessions/${id}/processes/${found.id}/output`);
  await until("its output is there", 30, () => events.output() === "end\n");
});

test("if the API can't wait for a command any more, the caller gets the id of the running program", async () => {
  const { api, id, berthd } = await openSession();
  const ask = callerOf(api, id);
  const [go, wrote] = ["go", "wrote"].map((name) => join(berthd.scratch, name)) as [string, string];
  // The command writes more output than berthd holds, so it goes on only while the API reads. The program's id comes first.
  const script = `head -c 16000000 /dev/zero; touch ${wrote}; while [ ! -e ${go} ]; do sleep 0.05; done; exit 5`;
  const waited = ask("POST", "commands", { command: sh(script) });
  const list = async () => (await ask("GET", "processes")).json.items;
  const [{ id: process }] = await until("it runs", 30, list, (items) => items.length === 1);
  await until("the API has read its output", 30, () => existsSync(wrote));
  await api.app.get(Streams).beforeApplicationShutdown();
  const { status, json, headers } = await waited;
  expect([status, json.detail, headers["retry-after"]]).toEqual([
    503,
    `The connection to the command was lost. It continues as the process ${process}, if the session's pod still runs.`,
    "2",
  ]);
  writeFileSync(go, "");
  await until("it has ended", 30, list, ([one]) => one.ended?.exitCode === 5);
});

test("the answer says how much of a long output was dropped", async () => {
  const { api, id } = await openSession();
  const origin = await listen(api);
  const ask = callerOf(api, id);
  const { json } = await ask("POST", "processes", { command: sh("head -c 3000000 /dev/zero") });
  await until("it has ended", 30, async () => (await ask("GET", `processes/${json.id}`)).json.ended !== null);
  const { oldestOffset, outputBytes } = (await ask("GET", `processes/${json.id}`)).json;
  expect(outputBytes).toBe(3_000_000);
  expect(oldestOffset).toBeGreaterThan(1_900_000);
  const url = `${origin}/v1/sessions/${id}/processes/${json.id}/output`;
  for (const [query, headers, offset] of [
    ["", {}, 0],
    ["?offset=1000", {}, 1_000],
    ["?offset=1000", { "last-event-id": "0" }, 0],
  ] as const) {
    const events = await eventsOf(`${url}${query}`, headers);
    await until("its end is reported", 30, () => events.messages().at(-1)?.event.type === "ended");
    const output = events.messages().find(({ event }) => event.type === "output");
    expect(output?.event).toMatchObject({ offset: oldestOffset, dropped: oldestOffset - offset });
  }
});

test("input, end of input, signals and a terminal's size reach the program", async () => {
  const { api, id } = await openSession();
  const ask = callerOf(api, id);
  const start = async (body: object) => (await ask("POST", "processes", body)).json.id as number;
  const ended = (process: number) =>
    until("it has ended", 30, async () => (await ask("GET", `processes/${process}`)).json.ended);
  const output = async (process: number) => {
    const origin = originIn(api);
    const events = await eventsOf(`${origin}/v1/sessions/${id}/processes/${process}/output`);
    await until("its end is reported", 30, () => events.messages().at(-1)?.event.type === "ended");
    return events.output();
  };
  await listen(api);

  const cat = await start({ command: ["cat"], keepStdin: true });
  expect((await ask("POST", `processes/${cat}/input`, { text: "a", base64: "YgA=" })).status).toBe(204);
  expect((await ask("POST", `processes/${cat}/input`, { end: true })).status).toBe(204);
  expect(await ended(cat)).toMatchObject({ exitCode: 0 });
  expect(await output(cat)).toBe("ab\0");
  expect(await ask("POST", `processes/${cat}/input`, { text: "late" })).toMatchObject({ status: 409 });

  const sleep = await start({ command: ["sleep", "1000"] });
  expect((await ask("POST", `processes/${sleep}/signal`, { signal: "SIGINT" })).status).toBe(204);
  expect(await ended(sleep)).toMatchObject({ exitCode: 130, signal: 2 });
  expect((await ask("POST", `processes/${sleep}/resize`, { columns: 1, rows: 1 })).status).toBe(409);

  const shell = await start({ command: ["sh"], pty: { columns: 80, rows: 24 } });
  expect((await ask("POST", `processes/${shell}/resize`, { columns: 132, rows: 50 })).status).toBe(204);
  await ask("POST", `processes/${shell}/input`, { text: "stty size; tty >/dev/null && echo terminal; exit\n" });
  expect(await ended(shell)).toMatchObject({ exitCode: 0 });
  expect(await output(shell)).toMatch(/50 132\r\nterminal\r\n/);

  for (const [path, body] of [
    ["processes/999", undefined],
    ["processes/999/output", undefined],
    ["processes/999/input", { text: "x" }],
    ["processes/999/signal", { signal: "SIGTERM" }],
  ] as const) {
    expect(await ask(body === undefined ? "GET" : "POST", path, body)).toMatchObject({ status: 404 });
  }
});

const originIn = ({ app }: OpenApi) => {
  const { port } = app.getHttpServer().address() as { port: number };
  return `http://127.0.0.1:${port}`;
};

test("programs need the scope write, the session's tenant and a running session", async () => {
  const readOnly = `${keyOf("acme")}r`;
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "read", sha256: sha256(readOnly), scopes: ["read" as const, "desktop" as const] },
  ];
  const { api, id } = await openSession({}, [tenant("acme", { keys }), tenant("beta")]);
  const ask = callerOf(api, id);
  for (const [method, path, body] of [
    ["POST", "commands", { command: ["true"] }],
    ["POST", "processes", { command: ["true"] }],
    ["GET", "processes", undefined],
    ["GET", "processes/1", undefined],
    ["GET", "processes/1/output", undefined],
    ["POST", "processes/1/input", { text: "x" }],
    ["POST", "processes/1/signal", { signal: "SIGTERM" }],
    ["POST", "processes/1/resize", { columns: 1, rows: 1 }],
  ] as const) {
    const status = async (key: string) => (await ask(method, path, body, key)).status;
    expect(await status(readOnly), path).toBe(403);
    expect(await status(adminKey), path).toBe(403);
    expect(await status("berth_acme_wrong"), path).toBe(401);
    expect(await status(keyOf("beta")), path).toBe(404);
    await api.database.updateTable("sessions").set({ state: "suspended", pod_ip: null }).execute();
    const refused = await ask(method, path, body);
    expect([refused.status, refused.json.detail], path).toEqual([
      409,
      "The session is suspended, but it has to be running.",
    ]);
    await runsHere(api, id);
  }
});

test("the audit trail says who did what from where, but contains no output, input or environment", async () => {
  const { api, id } = await openSession();
  const ask = callerOf(api, id);
  const body = { command: ["sh", "-c", "cat; echo $PASSWORD"], env: { PASSWORD: "S3CRET" }, keepStdin: true };
  const { json } = await ask("POST", "processes", body);
  await ask("POST", `processes/${json.id}/input`, { text: "S3CRET\n", end: true });
  await ask("POST", `processes/${json.id}/signal`, { signal: "SIGKILL" });
  await ask("GET", `processes/${json.id}`);
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "1", 100);
  expect(events.map(({ type, reason, actor, address }) => [type, reason, actor, address])).toEqual([
    ["command", 'sh -c "cat; echo $PASSWORD"', "key:default", "127.0.0.1"],
    ["process", `sends 7 bytes and the end to the process ${json.id}`, "key:default", "127.0.0.1"],
    ["process", `sends SIGKILL to the process ${json.id}`, "key:default", "127.0.0.1"],
    ["process", `reads the state of the process ${json.id}`, "key:default", "127.0.0.1"],
  ]);
  expect(JSON.stringify(events)).not.toContain("S3CRET");
});

test("a session whose pod has no services gets 409, and one whose pod is unreachable 503", async () => {
  const [podPort = 0] = await freePorts(1);
  const api = await openApi({}, undefined, { podPort });
  const { id } = (await call(api, "POST", "/v1/sessions", { body: { tier: "small" } })).json;
  await runsHere(api, id);
  const ask = callerOf(api, id);
  const refused = await ask("POST", "commands", { command: ["true"] });
  expect([refused.status, refused.json.detail]).toEqual([
    409,
    expect.stringContaining("an earlier version of Berth started the pod"),
  ]);
  const server = createServer((socket) => void socket.destroy()).listen(podPort, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const away = await ask("GET", "processes");
  expect([away.status, away.headers["retry-after"]]).toEqual([503, "2"]);
});

test("another session's pod refuses this session's token", async () => {
  const { api, id } = await openSession();
  const { json } = await call(api, "POST", "/v1/sessions", { body: { tier: "small" } });
  await runsHere(api, json.id);
  expect((await callerOf(api, json.id)("POST", "commands", { command: ["true"] })).status).toBe(502);
  expect((await callerOf(api, id)("POST", "commands", { command: ["true"] })).status).toBe(200);
});

test("programs that end while they are started cause no error that nobody catches", async () => {
  const { api, id } = await openSession();
  const ask = callerOf(api, id);
  const uncaught: Error[] = [];
  const note = (error: Error) => void uncaught.push(error);
  process.on("uncaughtException", note);
  onTestFinished(() => void process.off("uncaughtException", note));
  for (let round = 0; round < 20; round += 1) {
    const some = Array.from({ length: 3 }, () => ask("POST", "processes", { command: ["true"] }));
    expect((await Promise.all(some)).map(({ status }) => status)).toEqual([201, 201, 201]);
  }
  expect(uncaught).toEqual([]);
});

test("after 200 programs, 50 of them watched, there are as many open descriptors and as much memory in use as before", async () => {
  const { api, id, berthd } = await openSession();
  const origin = await listen(api);
  const ask = callerOf(api, id);
  // Makes as many parallel calls as below, so that the connections to Postgres are already open at the first count.
  const first = Array.from({ length: 20 }, () => ask("POST", "commands", { command: ["true"] }));
  expect((await Promise.all(first)).map(({ status }) => status)).toEqual(first.map(() => 200));
  const idle = () => openDescriptors(berthd.pid);
  const own = () => openDescriptors(process.pid);
  const pods = api.app.get(PodServices);
  pods.onApplicationShutdown(); // closes the idle connections to berthd
  const [before, ownBefore, heapBefore] = [idle(), own(), liveHeapBytes()];
  const ids: number[] = [];
  for (let from = 0; from < 200; from += 20) {
    const some = Array.from({ length: 20 }, () => ask("POST", "processes", { command: ["sleep", "1000"] }));
    ids.push(...(await Promise.all(some)).map(({ json }) => json.id));
  }
  const watchers = await Promise.all(
    ids.slice(0, 50).map((process) => eventsOf(`${origin}/v1/sessions/${id}/processes/${process}/output`)),
  );
  await until("all are watched", 30, () => watchers.every(({ messages }) => messages().length > 0));
  await Promise.all(ids.map((process) => ask("POST", `processes/${process}/signal`, { signal: "SIGKILL" })));
  await until("all ends are reported", 30, () =>
    watchers.every(({ messages }) => messages().at(-1)?.event.type === "ended"),
  );
  for (const { end } of watchers) end();
  pods.onApplicationShutdown();
  await until("all descriptors are given back", 30, () => idle() <= before && own() <= ownBefore);
  watchers.length = 0;
  expect(liveHeapBytes() - heapBefore).toBeLessThan(4 * 1024 * 1024);
  expect(readFileSync(`/proc/${berthd.pid}/comm`, "utf8")).toBe("berthd\n");
});
