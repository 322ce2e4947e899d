import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import known from "../downloads.json" with { type: "json" };
import { obtain, parseSums, Unobtainable } from "./obtain.ts";

const path = "release/v0.0.0/bin/linux/amd64/kubelet";
const official = "what its makers built";
const sumOf = (content: string) => createHash("sha256").update(content).digest("hex");

let folder: string;
let target: string;
let printed: string[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-mirror-"));
  target = join(folder, "target");
  vi.stubEnv("BERTH_MIRROR", "");
  vi.stubEnv("BERTH_MIRROR_TRUSTED", "");
  printed = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => void printed.push(line));
});

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

function put(file: string, content: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), content);
}

/** Serves the folder over HTTP until the end of the test. */
async function serve(): Promise<{ at: string; asked: string[]; server: Server } & AsyncDisposable> {
  const asked: string[] = [];
  const server = createServer(({ url = "" }, response) => {
    asked.push(url);
    try {
      response.end(readFileSync(join(folder, url)));
    } catch {
      response.writeHead(404).end();
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    at,
    asked,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
    },
  };
}

const sums = new Map([[path, sumOf(official)]]);
const nowhere = "http://127.0.0.1:9/kubelet";

describe("the official download", () => {
  test("with the known sum it is taken", async () => {
    put(path, official);
    await using site = await serve();
    await obtain({ path, url: `${site.at}/${path}` }, target, sums);
    expect(readFileSync(target, "utf8")).toBe(official);
    expect(printed).toEqual([]);
  });

  test("with another sum it is refused", async () => {
    put(path, "something else");
    await using site = await serve();
    await expect(obtain({ path, url: `${site.at}/${path}` }, target, sums)).rejects.toThrow(
      `has the SHA-256 ${sumOf("something else")}, but should have ${sumOf(official)}`,
    );
  });

  test("without a known sum nothing is asked for", async () => {
    put(path, official);
    await using site = await serve();
    const answer = obtain({ path, url: `${site.at}/${path}` }, target, new Map());
    await expect(answer).rejects.toThrow(Unobtainable);
    await expect(answer).rejects.toThrow(/nobody has published its SHA-256/);
    expect(site.asked).toEqual([]);
  });

  test("out of reach, the error says what to do", async () => {
    const answer = obtain({ path, url: nowhere }, target, sums);
    await expect(answer).rejects.toThrow(Unobtainable);
    await expect(answer).rejects.toThrow(/BERTH_MIRROR names no mirror.*Connect this machine/);
  });
});

describe.each(["folder", "web server"])("a mirror that is a %s", (kind) => {
  let site: Awaited<ReturnType<typeof serve>>;
  beforeEach(async () => {
    site = await serve();
    vi.stubEnv("BERTH_MIRROR", kind === "folder" ? folder : `${site.at}/`);
  });
  afterEach(() => site[Symbol.asyncDispose]());

  test("an official file is taken, and goes before the internet", async () => {
    put(path, official);
    await obtain({ path, url: nowhere }, target, sums);
    expect(readFileSync(target, "utf8")).toBe(official);
    expect(printed).toEqual([]);
  });

  test("a file with another sum is refused, also for those who trust the mirror", async () => {
    put(path, "half of it");
    vi.stubEnv("BERTH_MIRROR_TRUSTED", "1");
    await expect(obtain({ path, url: nowhere }, target, sums)).rejects.toThrow(/SHA-256 .* should have/);
  });

  test.each([
    { which: "an own build of a file with a known sum", known: sums },
    { which: "a file without a known sum", known: new Map<string, string>() },
  ])("$which counts only for those who trust the mirror, and they are told", async ({ known }) => {
    put(path, "an own build");
    put("SHA256SUMS", `${sumOf("an own build")}  ./${path}\n`);
    await expect(obtain({ path, url: nowhere }, target, known)).rejects.toThrow(/set BERTH_MIRROR_TRUSTED=1/);
    vi.stubEnv("BERTH_MIRROR_TRUSTED", "1");
    await obtain({ path, url: nowhere }, target, known);
    expect(readFileSync(target, "utf8")).toBe("an own build");
    expect(printed).toEqual([expect.stringMatching(/not official: release\/v0.0.0.*kubelet/)]);
  });

  test("what it lacks comes from the official site", async () => {
    await using makers = await serve();
    put("site/kubelet", official);
    await obtain({ path, url: `${makers.at}/site/kubelet` }, target, sums);
    expect(readFileSync(target, "utf8")).toBe(official);
  });
});

test("lists of sums are read whether binary files are marked or not", () => {
  const [a, b] = ["a".repeat(64), "b".repeat(64)];
  expect(parseSums(`${a}  one.tar.gz\n${b} *two.tar.gz\nnonsense\n`)).toEqual(
    new Map([
      ["one.tar.gz", a],
      ["two.tar.gz", b],
    ]),
  );
});

test("each sum of the repository is one, and says which commit it was taken from", () => {
  for (const { takenFrom, sha256 } of known) {
    expect(takenFrom).toMatch(/^https:\/\/github\.com\/[^/]+\/[^/]+\/blob\/[0-9a-f]{40}\//);
    for (const sum of Object.values(sha256)) expect(sum).toMatch(/^[0-9a-f]{64}$/);
  }
});
