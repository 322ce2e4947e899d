import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { closingLine } from "./counts.ts";
import { root } from "./run.ts";

/** The closing line of a real run of vitest over the file, with further arguments for vitest. */
async function closingLineOf(file: string, ...more: string[]): Promise<string | undefined> {
  // Below node_modules, where vitest finds its own package and no project of the checkout looks.
  const folder = mkdtempSync(join(root, "node_modules", ".counts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "it.test.js"), `import { afterAll, beforeAll, describe, test } from "vitest";\n${file}`);
  writeFileSync(join(folder, "vitest.config.js"), "export default { test: { exclude: [] } }");
  const args = ["run", "--root", folder, "--reporter", join(root, "testing", "closing-line.ts"), ...more];
  const { stdout } = await execa("vitest", args, { preferLocal: true, localDir: root, reject: false });
  return stdout.trim().split("\n").at(-1);
}

const fails = `() => { throw new Error("on purpose") }`;

test.each([
  [
    "tests pass, fail and skip",
    `test("a", () => {}); test("b", ${fails}); test("c", (context) => context.skip("why"))`,
    "1 passed, 1 failed, 1 skipped",
  ],
  [
    "the set-up of a suite fails",
    `describe("s", () => { beforeAll(${fails}); test("a", () => {}); test("b", () => {}) })`,
    "0 passed, 3 failed",
  ],
  [
    "the set-up of the file fails",
    `beforeAll(${fails}); describe("s", () => { test("a", () => {}) })`,
    "0 passed, 2 failed",
  ],
  ["the clean-up of the file fails", `afterAll(${fails}); test("a", () => {})`, "1 passed, 1 failed"],
  ["the file can't be loaded", `throw new Error("on purpose")`, "0 passed, 1 failed"],
  [
    "a test says that it can't run here",
    `test("a", (context) => context.skip("no plugin"))`,
    "0 passed, 0 failed, 1 skipped",
  ],
])("%s: the closing line counts each test that did not pass", async (_, file, line) => {
  expect(await closingLineOf(file)).toBe(line);
});

test("of a run by name, the named tests of a suite whose set-up fails count as failed, and the others as skipped", async () => {
  const other = `describe("other", () => { test("wanted", () => {}); test("b", () => {}) });`;
  const broken = `describe("broken", () => { beforeAll(${fails}); test("wanted", () => {}); test("b", () => {}) });`;
  expect(await closingLineOf(other + broken, "-t", "wanted")).toBe("1 passed, 2 failed, 2 skipped");
  expect(await closingLineOf(other + broken, "-t", "other > wanted")).toBe("1 passed, 0 failed, 3 skipped");
});

test("the closing line names skipped tests only where there are some", () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
});
