/** The API's calls that read and change the files of sessions. A real berthd on loopback serves the files. */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { listen } from "../testing/api.ts";
import { buildBerthd, hasNamespaces, openSession, residentBytes, runsHere } from "../testing/berthd.ts";
import { adminKey, keyOf, sha256, tenant } from "../testing/fixtures.ts";

beforeAll(() => buildBerthd().then(() => {}));

const MiB = 1024 * 1024;

interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: Buffer;
  json: () => { detail: string; errors: { field: string }[]; [field: string]: unknown };
}

/** An API with a session, and a function that calls the API over a real connection. */
async function open(options: { smallDisk?: boolean } = {}) {
  const readOnly = { name: "read", sha256: sha256(`${keyOf("acme")}r`), scopes: ["read" as const, "desktop" as const] };
  const keys = [{ name: "default", sha256: sha256(keyOf("acme")) }, readOnly];
  const opened = await openSession({}, [tenant("acme", { keys }), tenant("beta")], options);
  const origin = await listen(opened.api);
  const base = `${origin}/v1/sessions/${opened.id}/files`;
  const begin = (method: string, url: string, headers: RequestOptions["headers"] = {}, key = keyOf("acme")) =>
    httpRequest(url.startsWith("http") ? url : base + url, {
      method,
      headers: { ...(key !== "" && { authorization: `Bearer ${key}` }), ...headers },
    }).on("error", () => {});
  const ask = async (
    method: string,
    url: string,
    { body, headers, key }: { body?: Buffer | string | object; headers?: Record<string, string>; key?: string } = {},
  ): Promise<Answer> => {
    const isJson = typeof body === "object" && !Buffer.isBuffer(body);
    const request = begin(method, url, { ...(isJson && { "content-type": "application/json" }), ...headers }, key);
    request.end(isJson ? JSON.stringify(body) : body);
    const [response] = (await once(request, "response")) as [IncomingMessage];
    const bytes = Buffer.concat(await response.toArray());
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      body: bytes,
      json: () => JSON.parse(bytes.toString()),
    };
  };
  const names = () => readdirSync(opened.berthd.workspace).sort();
  return { ...opened, origin, begin, ask, names };
}

const at = (path: string, more = "") => `?path=${encodeURIComponent(path)}${more}`;

test("a file is written and read: complete, in ranges, and by its ETag", async () => {
  const { ask, berthd } = await open();
  const text = "0123456789";
  const written = await ask("PUT", at("deep/er/a b.txt", "&mode=0600&parents=true"), { body: text });
  expect([written.status, written.json()]).toEqual([
    200,
    {
      path: join(berthd.workspace, "deep/er/a b.txt"),
      kind: "file",
      size: 10,
      mode: "0600",
      modifiedAt: expect.stringMatching(/Z$/),
      etag: written.headers.etag,
      target: null,
    },
  ]);
  const etag = String(written.headers.etag);
  const read = (headers: Record<string, string> = {}, method = "GET") =>
    ask(method, at("deep/er/a b.txt"), { headers });
  const whole = await read();
  expect([whole.status, whole.body.toString()]).toEqual([200, text]);
  expect(whole.headers).toMatchObject({
    "content-type": "application/octet-stream",
    "content-disposition": "attachment; filename*=UTF-8''a%20b.txt",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "content-length": "10",
    "accept-ranges": "bytes",
    etag,
  });
  const head = await read({}, "HEAD");
  expect([head.status, head.headers["content-length"], head.headers.etag]).toEqual([200, "10", etag]);
  for (const [range, status, body, contentRange] of [
    ["bytes=2-4", 206, "234", "bytes 2-4/10"],
    ["bytes=7-", 206, "789", "bytes 7-9/10"],
    ["bytes=-2", 206, "89", "bytes 8-9/10"],
    ["bytes=0-0,5-5", 200, text, undefined],
  ] as const) {
    const answer = await read({ range });
    expect([answer.status, answer.body.toString(), answer.headers["content-range"]]).toEqual([
      status,
      body,
      contentRange,
    ]);
  }
  const beyond = await read({ range: "bytes=10-" });
  expect([beyond.status, beyond.headers["content-range"]]).toEqual([416, "bytes */10"]);
  expect((await read({ "if-none-match": etag })).status).toBe(304);
  expect((await read({ range: "bytes=0-1", "if-range": etag })).status).toBe(206);
  expect((await read({ range: "bytes=0-1", "if-range": '"old"' })).status).toBe(200);
  expect((await read({ "if-match": '"old"' })).status).toBe(412);

  const write = (headers: Record<string, string>) => ask("PUT", at("deep/er/a b.txt"), { body: "new", headers });
  expect((await write({ "if-match": '"old"' })).status).toBe(412);
  expect((await write({ "if-none-match": "*" })).status).toBe(412);
  const replaced = await write({ "if-match": etag });
  expect([replaced.status, replaced.json().mode]).toEqual([200, "0600"]);
  expect((await read()).body.toString()).toBe("new");
  expect((await ask("PUT", at("empty"), { body: "" })).json().size).toBe(0);
  expect((await ask("GET", at("empty"))).body).toHaveLength(0);
  expect((await ask("PUT", at("a.json"), { body: { any: "type" } })).status).toBe(200);
  expect((await ask("GET", at("a.json"))).body.toString()).toBe('{"any":"type"}');
});

test("an upload that is cut off leaves no partial file, and can be repeated", async () => {
  const { ask, begin, berthd, names } = await open();
  await ask("PUT", at("old"), { body: "old" });
  for (const [path, headers] of [
    ["new", { "content-length": String(8 * MiB) }],
    ["new", { "transfer-encoding": "chunked" }],
    ["old", { "content-length": String(8 * MiB) }],
  ] as const) {
    const request = begin("PUT", at(path), headers);
    request.write(Buffer.alloc(4 * MiB, "x"));
    await until("the bytes are on their way into the session", 30, () =>
      names().some((name) => name.startsWith(".berth-part-") && statSync(join(berthd.workspace, name)).size >= MiB),
    );
    request.destroy();
    await until("nothing of it is left", 30, () => names().join() === "old");
  }
  expect((await ask("GET", at("old"))).body.toString()).toBe("old");
  expect((await ask("PUT", at("new"), { body: Buffer.alloc(8 * MiB) })).json().size).toBe(8 * MiB);
});

test("64 MiB are uploaded and downloaded unchanged, and berthd does not keep them in memory", async () => {
  const { ask, berthd } = await open();
  const bytes = randomBytes(64 * MiB);
  await ask("PUT", at("warm"), { body: bytes.subarray(0, MiB) });
  const before = residentBytes(berthd.pid);
  expect((await ask("PUT", at("large"), { body: bytes })).status).toBe(200);
  expect(readFileSync(join(berthd.workspace, "large")).equals(bytes)).toBe(true);
  expect((await ask("GET", at("large"))).body.equals(bytes)).toBe(true);
  expect(residentBytes(berthd.pid) - before).toBeLessThan(32 * MiB);
});

test("a full disk gives 507, at the start or in the middle of an upload, and no partial file stays", async ({
  skip,
}) => {
  if (!hasNamespaces()) skip("nobody may have namespaces on this machine");
  const { ask, begin } = await open({ smallDisk: true });
  await ask("PUT", at("file"), { body: "old" });
  const upload = async (headers: Record<string, string>) => {
    const request = begin("PUT", at("file"), headers);
    request.end(Buffer.alloc(8 * MiB));
    const [response] = (await once(request, "response")) as [IncomingMessage];
    return response.statusCode;
  };
  expect(await upload({ "content-length": String(8 * MiB) })).toBe(507);
  expect(await upload({ "transfer-encoding": "chunked" })).toBe(507);
  expect((await ask("PUT", `/archive${at("to")}`, { body: tarOf("big", 8 * MiB) })).status).toBe(507);
  expect((await ask("GET", at("file"))).body.toString()).toBe("old");
  const { items } = (await ask("GET", "/list?depth=2")).json();
  expect((items as { path: string }[]).map(({ path }) => path.split("/").at(-1))).toEqual(["file", "to"]);
  expect((await ask("PUT", at("file"), { body: "there is room for this" })).status).toBe(200);
});

/** An archive with one file of this many zeroes. */
function tarOf(name: string, bytes: number): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "berth-tar-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, name), Buffer.alloc(bytes));
  return execFileSync("tar", ["-C", folder, "-cf", "-", name], { maxBuffer: 2 * bytes });
}

test("names with newlines, quotes and other scripts work like any other name", async () => {
  const { ask, names } = await open();
  const odd = ["a\nb", "a\"b'c", "ü 漢字 😀", "%2e%2e", "..a", "-rf", " ", "a\\b", "x".repeat(255)];
  for (const name of odd) {
    expect((await ask("PUT", at(name), { body: name })).status, name).toBe(200);
    const read = await ask("GET", at(name));
    expect([read.status, read.body.toString()], name).toEqual([200, name]);
  }
  expect(names()).toEqual([...odd].sort());
  const { items } = (await ask("GET", "/list")).json() as unknown as { items: { path: string }[] };
  expect(items.map(({ path }) => path.split("/").at(-1)).sort()).toEqual([...odd].sort());
  expect((await ask("PUT", at("x".repeat(256)), { body: "" })).status).toBe(400);
});

test("nothing outside the workspace is read, written or revealed, and FIFOs, devices and kernel files aren't opened", async () => {
  const { ask, berthd } = await open();
  const outside = join(berthd.workspace, "../token");
  symlinkSync("../token", join(berthd.workspace, "out"));
  symlinkSync("/", join(berthd.workspace, "root"));
  symlinkSync("inside", join(berthd.workspace, "in"));
  writeFileSync(join(berthd.workspace, "inside"), "fine");
  execFileSync("mkfifo", [join(berthd.workspace, "fifo")]);
  const secret = readFileSync(outside, "utf8");
  for (const path of [
    "../token",
    outside,
    "out",
    "root/etc/passwd",
    "/etc/passwd",
    "/proc/1/environ",
    "a/../../token",
  ]) {
    for (const [method, url, body] of [
      ["GET", at(path), undefined],
      ["GET", `/info${at(path)}`, undefined],
      ["GET", `/archive${at(path)}`, undefined],
      ["GET", `/watch${at(path)}`, undefined],
      ["POST", "/move", { from: path, to: "moved" }],
    ] as const) {
      if (path === "out" && method === "POST") continue; // a symlink itself may be moved
      const answer = await ask(method, url, { ...(body && { body }) });
      expect([403, 404, 409], `${method} ${url}`).toContain(answer.status);
      expect(answer.body.toString()).not.toContain(secret);
    }
  }
  for (const path of ["../new", "root/tmp/new", "/etc/new", "/proc/new"]) {
    expect((await ask("PUT", at(path), { body: "x" })).status, path).toBe(403);
    expect((await ask("POST", "/folders", { body: { path } })).status, path).toBe(403);
    expect((await ask("DELETE", at(path))).status, path).toBe(403);
  }
  expect((await ask("GET", at("in"))).body.toString()).toBe("fine");
  expect((await ask("GET", at("fifo"))).status).toBe(409);
  expect((await ask("PUT", at("fifo"), { body: "x" })).status).toBe(409);
  expect((await ask("GET", `/info${at("fifo")}`)).json().kind).toBe("other");
  expect((await ask("GET", `/info${at("out", "&follow=false")}`)).json()).toMatchObject({
    kind: "symlink",
    target: "../token",
  });
  // Writing to a symlink replaces the symlink, and its target stays unchanged.
  expect((await ask("PUT", at("out"), { body: "mine" })).status).toBe(200);
  expect(readFileSync(outside, "utf8")).toBe(secret);
});

test("folders are created, listed in pages and levels, moved and removed", async () => {
  const { ask, berthd } = await open();
  expect((await ask("POST", "/folders", { body: { path: "a/b" } })).status).toBe(404);
  expect((await ask("POST", "/folders", { body: { path: "a/b", parents: true, mode: "0700" } })).json()).toMatchObject({
    kind: "folder",
    mode: "0700",
    size: null,
  });
  expect((await ask("POST", "/folders", { body: { path: "a" } })).status).toBe(409);
  for (const name of ["a/1", "a/2", "a/b/3", "z"]) await ask("PUT", at(name), { body: name });
  const pages = async (query: string) => {
    const found: string[] = [];
    let cursor = "";
    do {
      const page = (await ask("GET", `/list?limit=2${query}${cursor && `&cursor=${cursor}`}`)).json();
      for (const { path } of page.items as { path: string }[]) found.push(path.slice(berthd.workspace.length + 1));
      cursor = (page.nextCursor as string | null) ?? "";
    } while (cursor !== "");
    return found;
  };
  expect(await pages("")).toEqual(["a", "z"]);
  expect(await pages("&depth=5")).toEqual(["a", "a/1", "a/2", "a/b", "a/b/3", "z"]);
  expect(await pages("&path=a")).toEqual(["a/1", "a/2", "a/b"]);
  expect((await ask("GET", "/list?cursor=!")).json().errors[0]?.field).toBe("cursor");
  expect((await ask("GET", "/list?path=z")).status).toBe(409);

  expect((await ask("POST", "/move", { body: { from: "a/1", to: "z" } })).status).toBe(409);
  expect((await ask("POST", "/move", { body: { from: "a/1", to: "z", replace: true } })).status).toBe(200);
  expect((await ask("GET", at("z"))).body.toString()).toBe("a/1");
  expect((await ask("DELETE", at("a"))).status).toBe(409);
  expect((await ask("DELETE", at("a", "&recursive=true"))).status).toBe(204);
  expect((await ask("DELETE", at("a"))).status).toBe(404);
  expect(await ask("GET", at("."))).toMatchObject({ status: 409 });
});

test("a tar archive is uploaded and downloaded with folders, modes and symlinks, and can't write outside", async () => {
  const { ask, berthd } = await open();
  const from = join(berthd.scratch, "from");
  mkdirSync(join(from, "sub"), { recursive: true });
  writeFileSync(join(from, "sub/run.sh"), "echo", { mode: 0o755 });
  symlinkSync("sub/run.sh", join(from, "link"));
  const archive = execFileSync("tar", ["-C", from, "-cf", "-", "."]);
  const up = await ask("PUT", `/archive${at("to")}`, { body: archive });
  expect([up.status, up.json()]).toEqual([200, { files: 1, bytes: 4 }]);
  expect(statSync(join(berthd.workspace, "to/sub/run.sh")).mode & 0o777).toBe(0o755);
  const down = await ask("GET", `/archive${at("to")}`);
  expect(down.headers).toMatchObject({
    "content-type": "application/x-tar",
    "content-disposition": "attachment; filename*=UTF-8''to.tar",
    "x-content-type-options": "nosniff",
  });
  const listed = execFileSync("tar", ["-tf", "-"], { input: down.body }).toString().split("\n");
  expect(listed.filter(Boolean).sort()).toEqual(["link", "sub/", "sub/run.sh"]);

  const evil = execFileSync("tar", ["-P", "-C", from, "--transform", "s,sub,../../evil,", "-cf", "-", "sub"]);
  expect((await ask("PUT", `/archive${at("to")}`)).json()).toEqual({ files: 0, bytes: 0 });
  await ask("PUT", `/archive${at("to")}`, { body: evil });
  expect(existsSync(join(berthd.workspace, "../evil"))).toBe(false);
  expect((await ask("PUT", `/archive${at("to")}`, { body: "no archive".repeat(100) })).json().errors[0]?.field).toBe(
    "body",
  );
  expect((await ask("PUT", `/archive${at("cut")}`, { body: archive.subarray(0, 600) })).status).toBe(400);
});

test("changes in a folder are reported as they happen", async () => {
  const { begin, berthd } = await open();
  const request = begin("GET", "/watch?recursive=true");
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  onTestFinished(() => void response.destroy());
  let text = "";
  response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
  const events = () =>
    [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => {
      const { type, path } = JSON.parse(json ?? "");
      return `${type} ${path.slice(berthd.workspace.length)}`;
    });
  await until("the watch is in place", 30, () => events().includes("ready "));
  mkdirSync(join(berthd.workspace, "new"));
  await until("the folder is reported", 30, () => events().includes("created /new"));
  writeFileSync(join(berthd.workspace, "new/file"), "x");
  await until("the content of the folder is reported", 30, () => events().includes("modified /new/file"));
});

test("a file that grows while it is read keeps its old length, and one that shrinks is cut off without padding", async () => {
  const { begin, berthd } = await open();
  const path = join(berthd.workspace, "log");
  writeFileSync(path, Buffer.alloc(16 * MiB, "a"));
  const request = begin("GET", at("log"));
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  appendFileSync(path, "more");
  const bytes = Buffer.concat(await response.toArray());
  expect(bytes.equals(Buffer.alloc(16 * MiB, "a"))).toBe(true);

  writeFileSync(path, Buffer.alloc(128 * MiB, "a"));
  const another = begin("GET", at("log"));
  another.end();
  const [cut] = (await once(another, "response")) as [IncomingMessage];
  truncateSync(path, 1);
  await expect(cut.toArray()).rejects.toThrow("aborted");
});

test("a link reads or writes one file without a key, while the link and its maker's key are valid", async () => {
  const { ask, origin, berthd, id, api } = await open();
  writeFileSync(join(berthd.workspace, "a"), "bytes");
  const link = async (access: string, path = "a") => {
    const answer = await ask("POST", "/links", { body: { path, access } });
    expect(answer.status).toBe(201);
    const { url, expiresAt } = answer.json() as unknown as Record<string, string>;
    expect(Date.parse(expiresAt ?? "")).toBeGreaterThan(Date.now() + 200_000);
    return url?.replace("http://berth.example", origin) ?? "";
  };
  const [read, write] = [await link("read"), await link("write", "b")];
  const noKey = { key: "" };
  const got = await ask("GET", read, noKey);
  expect([got.status, got.body.toString(), got.headers["content-disposition"]]).toEqual([
    200,
    "bytes",
    "attachment; filename*=UTF-8''a",
  ]);
  expect((await ask("GET", read, { ...noKey, headers: { range: "bytes=1-2" } })).body.toString()).toBe("yt");
  expect((await ask("PUT", write, { ...noKey, body: "by link" })).status).toBe(200);
  expect(readFileSync(join(berthd.workspace, "b"), "utf8")).toBe("by link");
  for (const [method, url, status] of [
    ["PUT", read, 403],
    ["GET", write, 403],
    ["GET", `${read}x`, 401],
    ["GET", read.replace(/\.[\w-]{20,}\./, ".e30."), 401],
  ] as const) {
    expect((await ask(method, url, { ...noKey, ...(method === "PUT" && { body: "x" }) })).status, url).toBe(status);
  }
  // A link can't replace a key, and a desktop's ticket can't replace a link.
  const ticket = new URL(read).searchParams.get("ticket") ?? "";
  expect((await ask("GET", at("a"), { key: ticket })).status).toBe(401);
  const made = await ask("POST", `${origin}/v1/sessions/${id}/desktop-tickets`, { body: {} });
  expect((await ask("GET", `${origin}/v1/files?ticket=${made.json().ticket}`, noKey)).status).toBe(401);
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, "1", 100);
  const uses = events.map(({ reason, actor }) => [reason, actor.replace(/link:.*/, "link")]);
  expect(uses[0]).toEqual([expect.stringMatching(/^makes the link [\w-]{36} to read "a"$/), "key:default"]);
  expect(uses).toContainEqual([expect.stringMatching(/^reads "a" by the link [\w-]{36}$/), "link"]);
  expect(uses).toContainEqual([expect.stringMatching(/^writes "b" by the link [\w-]{36}$/), "link"]);
  expect(JSON.stringify(events)).not.toMatch(/bytes|by link"|eyJ/);
});

test("files need the scope write, the session's tenant and a running session; the audit trail has each action", async () => {
  const { ask, api, id } = await open();
  const before = await api.store.trail.newestId();
  for (const [method, url, body] of [
    ["GET", at("a"), undefined],
    ["PUT", at("a"), "x"],
    ["DELETE", at("a"), undefined],
    ["GET", `/archive${at("a")}`, undefined],
    ["PUT", `/archive${at("a")}`, "x"],
    ["GET", `/info${at("a")}`, undefined],
    ["GET", "/list", undefined],
    ["GET", "/watch", undefined],
    ["POST", "/folders", { path: "a" }],
    ["POST", "/move", { from: "a", to: "b" }],
    ["POST", "/links", { path: "a", access: "read" }],
  ] as const) {
    const status = async (key: string) => (await ask(method, url, { key, ...(body && { body }) })).status;
    expect(await status(`${keyOf("acme")}r`), url).toBe(403);
    expect(await status(adminKey), url).toBe(403);
    expect(await status("berth_acme_wrong"), url).toBe(401);
    expect(await status(keyOf("beta")), url).toBe(404);
    await api.database.updateTable("sessions").set({ state: "suspended", pod_ip: null }).execute();
    expect(await status(keyOf("acme")), url).toBe(409);
    await runsHere(api, id);
  }
  expect(await api.store.trail.newestId()).toBe(before);
  await ask("PUT", at("secret name"), { body: "S3CRET" });
  await ask("GET", at("secret name"));
  await ask("DELETE", at("secret name"));
  const events = await api.store.trail.ofTenant({ tenant: "acme", sessionId: id }, before, 100);
  expect(events.map(({ type, reason, actor, address }) => [type, reason, actor, address])).toEqual(
    ['writes "secret name"', 'reads "secret name"', 'removes "secret name"'].map((what) => [
      "file",
      what,
      "key:default",
      "127.0.0.1",
    ]),
  );
  expect(JSON.stringify(events)).not.toContain("S3CRET");
});

test("a large body without a key is refused before it has arrived, and other routes accept no files", async () => {
  const { begin, ask } = await open();
  const request = begin("PUT", at("a"), { "content-length": String(1024 * MiB) }, "");
  let sent = 0;
  const pump = () => {
    while (!request.destroyed && sent < 1024 * MiB) {
      sent += MiB;
      if (!request.write(Buffer.alloc(MiB))) return void request.once("drain", pump);
    }
  };
  pump();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  expect(response.statusCode).toBe(401);
  await until("the connection is closed", 30, () => request.destroyed || request.socket?.destroyed === true);
  expect(sent).toBeLessThan(64 * MiB);
  const wrong = await ask("POST", "/folders", { body: "x", headers: { "content-type": "application/octet-stream" } });
  expect(wrong.status).toBe(415);
});
