/**
 * Every route of /v1 by which a caller uses a session writes a line of the audit trail. The line says who did what from which
 * address, and has no contents of files, input, output or environment.
 */
import { once } from "node:events";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { WebSocket } from "ws";
import { call, fakeCluster, listen } from "../testing/api.ts";
import { buildBerthd, openSession } from "../testing/berthd.ts";
import { keyOf, sha256, tenant } from "../testing/fixtures.ts";
import { controllers } from "./controllers.ts";
import { openApiDocument } from "./openApi.ts";

beforeAll(() => buildBerthd().then(() => {}));

/** A text that the test puts into files, input, output and environment. No line of the audit trail may contain this text. */
const contents = "hunter2-is-in-here";

interface World {
  /** Calls a path below the session's; resolves with the answer's body. */
  ask: (method: string, path: string, body?: object | string) => Promise<string>;
  json: (method: string, path: string, body?: object) => Promise<Record<string, string>>;
  /** Opens a WebSocket, and closes it once it is open. */
  visit: (path: string) => Promise<void>;
  /** Calls a path of the API. */
  fetch: (path: string, init?: RequestInit) => Promise<Response>;
  process: string;
}

/**
 * A function that calls the route, and the lines that this call adds to the audit trail: the type of each line, and its
 * `reason`, which tells a reader what the caller did.
 */
type Route = [run: (world: World) => Promise<unknown>, ...lines: [type: string, reason: string | RegExp][]];

const id = "[0-9a-f-]{36}";
const runs = ["sh", "-c", "cat; exit 0"];
const link = async ({ json }: World, access: string) =>
  new URL((await json("POST", "files/links", { path: "file", access })).url ?? "");
const byLink = async (world: World, access: string, init?: RequestInit) => {
  const { pathname, search } = await link(world, access);
  return world.fetch(pathname + search, init);
};

const routes: Record<string, Route> = {
  "POST /commands": [
    ({ ask }) => ask("POST", "commands", { command: ["printenv", "X"], env: { X: contents } }),
    ["command", "printenv X"],
  ],
  "POST /processes": [
    ({ ask }) => ask("POST", "processes", { command: runs, env: { X: contents }, keepStdin: true }),
    ["command", 'sh -c "cat; exit 0"'],
  ],
  "GET /processes": [({ ask }) => ask("GET", "processes"), ["process", "lists the processes"]],
  "GET /processes/{process}": [
    ({ ask, process }) => ask("GET", `processes/${process}`),
    ["process", /^reads the state of the process \d+$/],
  ],
  "POST /processes/{process}/input": [
    ({ ask, process }) => ask("POST", `processes/${process}/input`, { text: contents }),
    ["process", /^sends 18 bytes to the process \d+$/],
  ],
  "POST /processes/{process}/resize": [
    ({ ask, process }) => ask("POST", `processes/${process}/resize`, { columns: 80, rows: 24 }),
    ["process", /^resizes the terminal of the process \d+$/],
  ],
  "GET /processes/{process}/attach": [
    ({ visit, process }) => visit(`processes/${process}/attach`),
    ["process", /^is attached to the process \d+$/],
  ],
  "GET /connections": [({ ask }) => ask("GET", "connections"), ["process", "lists the open connections"]],
  "DELETE /connections/{connection}": [
    async ({ ask, fetch, process }) => {
      const watched = await fetch(`/processes/${process}/output`);
      // This list is the same read as that of the route before, so it adds no line.
      const open = async () => JSON.parse(await ask("GET", "connections")).items;
      const [{ id }] = await until("nothing else is open", 20, open, (items) => items.length === 1);
      await ask("DELETE", `connections/${id}`);
      await watched.text();
    },
    ["process", /^watches the process \d+$/],
    ["process", "closes the connection of key:default"],
  ],
  "POST /processes/{process}/signal": [
    ({ ask, process }) => ask("POST", `processes/${process}/signal`, { signal: "SIGKILL" }),
    ["process", /^sends SIGKILL to the process \d+$/],
  ],
  "GET /processes/{process}/output": [
    ({ ask, process }) => ask("GET", `processes/${process}/output`),
    ["process", /^watches the process \d+$/],
  ],
  "GET /exec": [({ visit }) => visit("exec?command=true"), ["command", "true"]],
  "PUT /files": [({ ask }) => ask("PUT", "files?path=file", contents), ["file", 'writes "file"']],
  "GET /files": [({ ask }) => ask("GET", "files?path=file"), ["file", 'reads "file"']],
  "GET /files/info": [({ ask }) => ask("GET", "files/info?path=file"), ["file", 'reads the properties of "file"']],
  "GET /files/list": [({ ask }) => ask("GET", "files/list?path=."), ["file", 'lists "."']],
  "POST /files/folders": [
    ({ ask }) => ask("POST", "files/folders", { path: "folder" }),
    ["file", 'makes the folder "folder"'],
  ],
  "GET /files/archive": [
    ({ ask }) => ask("GET", "files/archive?path=folder"),
    ["file", 'reads "folder" as an archive'],
  ],
  "PUT /files/archive": [
    ({ ask }) => ask("PUT", "files/archive?path=folder", "\0".repeat(1024)),
    ["file", 'unpacks an archive into "folder"'],
  ],
  "POST /files/move": [
    ({ ask }) => ask("POST", "files/move", { from: "folder", to: "moved" }),
    ["file", 'moves "folder" to "moved"'],
  ],
  "GET /files/watch": [
    async ({ fetch }) => (await fetch("/files/watch?path=moved")).body?.cancel(),
    ["file", 'watches "moved"'],
  ],
  "DELETE /files": [({ ask }) => ask("DELETE", "files?path=moved"), ["file", 'removes "moved"']],
  "POST /files/links": [(world) => link(world, "read"), ["file", new RegExp(`^makes the link ${id} to read "file"$`)]],
  "GET /files/links": [({ ask }) => ask("GET", "files/links"), ["file", "lists the links to files"]],
  "DELETE /files/links/{link}": [
    async ({ ask, json }) => {
      const made = await json("POST", "files/links", { path: "file", access: "read" });
      await ask("DELETE", `files/links/${made.id}`);
    },
    ["file", new RegExp(`^makes the link ${id} to read "file"$`)],
    ["file", new RegExp(`^revokes the link ${id}`)],
  ],
  "GET /v1/files": [
    (world) => byLink(world, "read"),
    ["file", new RegExp(`^makes the link ${id} to read "file"$`)],
    ["file", new RegExp(`^reads "file" by the link ${id}$`)],
  ],
  "PUT /v1/files": [
    (world) => byLink(world, "write", { method: "PUT", body: contents }),
    ["file", new RegExp(`^makes the link ${id} to write "file"$`)],
    ["file", new RegExp(`^writes "file" by the link ${id}$`)],
  ],
  "GET /ports": [({ ask }) => ask("GET", "ports"), ["port", "lists the ports"]],
  "GET /ports/links": [({ ask }) => ask("GET", "ports/links"), ["port", "lists the links to ports"]],
  "POST /ports/{port}/links": [
    ({ ask }) => ask("POST", "ports/8000/links", {}),
    ["port", new RegExp(`^makes the link ${id} to the port 8000$`)],
  ],
  "DELETE /ports/links/{link}": [
    async ({ ask, json }) => ask("DELETE", `ports/links/${(await json("POST", "ports/8000/links", {})).id}`),
    ["port", new RegExp(`^makes the link ${id} to the port 8000$`)],
    ["port", new RegExp(`^revokes the link ${id}`)],
  ],
  "GET /desktop-tickets": [({ ask }) => ask("GET", "desktop-tickets"), ["ticket", "lists the tickets"]],
  "POST /desktop-tickets": [
    ({ ask }) => ask("POST", "desktop-tickets", { mode: "view" }),
    ["ticket", new RegExp(`^makes the ticket ${id} to watch the desktop$`)],
  ],
  "DELETE /desktop-tickets/{ticket}": [
    async ({ ask, json }) => ask("DELETE", `desktop-tickets/${(await json("POST", "desktop-tickets", {})).id}`),
    ["ticket", new RegExp(`^makes the ticket ${id} to control the desktop$`)],
    ["ticket", new RegExp(`^revokes the ticket ${id}`)],
  ],
  "GET /desktop": [
    ({ visit }) => visit("desktop"),
    ["desktop", "opens the desktop"],
    ["desktop", "closes the desktop"],
  ],
  "GET /logs": [({ ask }) => ask("GET", "logs"), ["log", "reads the log"]],
};

/** Routes that write no line, for the reasons in docs/security.md. */
const without = ["GET /metrics", "GET /events", "GET /v1/events"];
/** Routes that change the state or the time limits of a session, or read its row. Changes write lines of other types. */
const changes = ["POST /extend", "POST /resume", "POST /suspend", "POST /touch", "GET ", "DELETE "];

test("the table has every route", () => {
  const all = Object.entries(openApiDocument(controllers).paths as Record<string, object>).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace("/v1/sessions/{id}", "")}`),
  );
  const known = [...Object.keys(routes), ...without, ...changes];
  const elsewhere = /^\w+ \/v1\/(sessions|tenants|usage|webhook-deliveries)/;
  expect(all.filter((route) => !elsewhere.test(route)).sort()).toEqual(known.sort());
});

test("each route's lines say who did what and from where, and hold no contents", async () => {
  await fakeCluster(() => ({ status: 200, body: `${contents}\n` }));
  const opened = await openSession({ SANDBOX_URL: "http://*.localhost:3003" }, [tenant("acme", { exec: true })]);
  const { api, id: session } = opened;
  const origin = await listen(api);
  const own = `/v1/sessions/${session}`;
  const headers = { authorization: `Bearer ${keyOf("acme")}` };
  const ask: World["ask"] = async (method, path, body) => {
    const isJson = typeof body === "object";
    const answer = await fetch(`${origin}${own}/${path}`, {
      method,
      headers: { ...headers, "content-type": isJson ? "application/json" : "application/octet-stream" },
      ...(body !== undefined && { body: isJson ? JSON.stringify(body) : body }),
    });
    const text = await answer.text();
    expect(answer.ok || path.endsWith("/resize"), `${method} ${path}: ${text}`).toBe(true); // the process has no terminal, so a resize is refused
    return text;
  };
  const json: World["json"] = async (...args) => JSON.parse(await ask(...args));
  const world: World = {
    ask,
    json,
    visit: async (path) => {
      const socket = new WebSocket(`${origin.replace("http", "ws")}${own}/${path}`, { headers });
      onTestFinished(() => socket.terminate());
      await once(socket, "open");
      socket.close();
      await once(socket, "close");
    },
    fetch: (path, init) => {
      const url = path.startsWith("/v1") ? path : own + path;
      return fetch(origin + url, path.startsWith("/v1") ? init : { ...init, headers });
    },
    process: (await json("POST", "processes", { command: ["cat"], keepStdin: true })).id ?? "",
  };
  const lines = async (since: string) =>
    (await api.store.trail.ofTenant({ tenant: "acme", sessionId: session }, since, 100)).map(
      ({ type, reason, actor, address }) => ({ type, reason: reason ?? "", actor, address }),
    );
  for (const [route, [run, ...wanted]] of Object.entries(routes)) {
    const since = await api.store.trail.newestId();
    await run(world);
    const found = await until(
      `${route}: its lines are there`,
      20,
      () => lines(since),
      (all) => all.length >= wanted.length,
    );
    expect(found, route).toEqual(
      wanted.map(([type, reason]) => ({
        type,
        reason: typeof reason === "string" ? reason : expect.stringMatching(reason),
        actor: expect.stringMatching(/^key:default$|^link:/),
        address: "127.0.0.1",
      })),
    );
  }
  expect(JSON.stringify(await lines("0"))).not.toMatch(new RegExp(`${contents}|eyJ`));
});

test("who reads the same again and again is recorded once, and another caller too", async () => {
  const other = `${keyOf("acme")}o`;
  const keys = [
    { name: "default", sha256: sha256(keyOf("acme")) },
    { name: "other", sha256: sha256(other) },
  ];
  const { api, id: session } = await openSession({}, [tenant("acme", { keys })]);
  const since = await api.store.trail.newestId();
  for (const key of [keyOf("acme"), keyOf("acme"), other, other, keyOf("acme")])
    expect((await call(api, "GET", `/v1/sessions/${session}/ports`, { key })).status).toBe(200);
  const lines = await api.store.trail.ofTenant({ tenant: "acme" }, since, 10);
  expect(lines.map(({ actor, reason }) => [actor, reason])).toEqual([
    ["key:default", "lists the ports"],
    ["key:other", "lists the ports"],
  ]);
});
