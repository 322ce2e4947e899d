import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { contextDigest } from "./context.ts";

let context: string;
const dockerfile = () => join(context, "images", "Dockerfile");
const digest = () => contextDigest(context, dockerfile());

beforeEach(() => {
  context = mkdtempSync(join(tmpdir(), "berth-context-"));
  for (const folder of ["images", "src/deep", "node_modules/a"]) mkdirSync(join(context, folder), { recursive: true });
  const files = { "images/Dockerfile": "FROM scratch\n", "src/deep/a.ts": "a", "src/b.ts": "b", "left-out": "" };
  for (const [file, text] of Object.entries(files)) {
    writeFileSync(join(context, file), text);
    chmodSync(join(context, file), 0o644);
  }
  symlinkSync("b.ts", join(context, "src", "link"));
  writeFileSync(`${dockerfile()}.dockerignore`, "*\n!src\n**/*.test.ts\n");
});
afterEach(() => rmSync(context, { recursive: true }));

test("the digest changes with content, name and mode of what is built, and with the Dockerfile", () => {
  const digests = [digest()];
  const after = (change: () => void) => {
    change();
    digests.push(digest());
  };
  after(() => writeFileSync(join(context, "src/b.ts"), "c"));
  after(() => chmodSync(join(context, "src/b.ts"), 0o755));
  after(() => writeFileSync(join(context, "src/new.ts"), ""));
  after(() => writeFileSync(dockerfile(), "FROM scratch\nCOPY . .\n"));
  expect(new Set(digests).size).toBe(digests.length);
});

test("the digest doesn't change with files that the ignore file excludes", () => {
  const before = digest();
  writeFileSync(join(context, "left-out"), "changed");
  writeFileSync(join(context, "src", "a.test.ts"), "new");
  writeFileSync(join(context, "node_modules", "a", "index.js"), "new");
  expect(digest()).toBe(before);
});
