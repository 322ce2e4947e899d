import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { root } from "../machine/machine.ts";
import { closingLine, none } from "./counts.ts";
import { judge, whatFailed } from "./run.ts";

/** Runs vitest on a test file with this content and these further arguments, and returns the printed lines. */
async function linesOf(file: string, ...more: string[]): Promise<string[]> {
  // The folder is below node_modules for two reasons: the test file can import vitest from there, and no vitest project of
  // this checkout runs the file.
  const folder = mkdtempSync(join(root, "node_modules", ".counts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "it.test.js"), `import { afterAll, beforeAll, describe, test } from "vitest";\n${file}`);
  writeFileSync(join(folder, "vitest.config.js"), "export default { test: { exclude: [] } }");
  const args = ["run", "--root", folder, "--reporter", join(root, "testing", "closing-line.ts"), ...more];
  const { all } = await execa("vitest", args, { preferLocal: true, localDir: root, reject: false, all: true });
  return all.trim().split("\n");
}

async function closingLineOf(file: string, ...more: string[]): Promise<string | undefined> {
  return (await linesOf(file, ...more)).at(-1);
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
    "a test skips itself with a reason",
    `test("a", (context) => context.skip("no plugin"))`,
    "0 passed, 0 failed, 1 skipped",
  ],
])("%s: the closing line counts each test that did not pass", async (_, file, line) => {
  expect(await closingLineOf(file)).toBe(line);
});

test("if a run selects tests by name, the other tests don't count, even if the set-up of their suite fails", async () => {
  const other = `describe("other", () => { test("wanted", () => {}); test("b", () => {}) });`;
  const broken = `describe("broken", () => { beforeAll(${fails}); test("wanted", () => {}); test("b", () => {}) });`;
  expect(await closingLineOf(other + broken, "-t", "wanted")).toBe("1 passed, 2 failed");
  expect(await closingLineOf(other + broken, "-t", "other > wanted")).toBe("1 passed, 0 failed");
  expect(await closingLineOf(other, "-t", "nothing")).toBe("0 passed, 0 failed");
});

test.each([
  ["its tests pass", { passed: 2, failed: 0, skipped: 1 }, 0, 0],
  ["all its tests skip themselves", { passed: 0, failed: 0, skipped: 1 }, 0, 0],
  ["it runs no test", none, 0, 1],
  ["it fails although its tests pass", { passed: 2, failed: 0, skipped: 0 }, 1, 1],
  ["its tests fail", { passed: 2, failed: 3, skipped: 0 }, 1, 3],
  ["it succeeds without a closing line", undefined, 0, 0],
  ["it fails without a closing line", undefined, 1, 1],
  ["it is ended from outside", undefined, undefined, 1],
])("the failures of a program, if %s", (_, reported, exitCode, failed) => {
  expect(judge(reported, exitCode)).toEqual({ ...(reported ?? none), failed });
});

test("the closing line mentions skipped tests only if there are any", () => {
  expect(closingLine({ passed: 3, failed: 0, skipped: 0 })).toBe("3 passed, 0 failed");
});

test("the summary of what failed names the tests that failed, and no others", async () => {
  // Vitest prints the lines next to a failure, so the tests are far apart.
  const file = `test("good", () => {});${"\n".repeat(10)}test("bad", ${fails})`;
  const summary = whatFailed(await linesOf(file, "--reporter", "tree")).join("\n");
  expect(summary).toMatch(/bad[\s\S]*on purpose/);
  expect(summary).not.toContain("good");
});

test("a failure with many lines does not hide the failures after it", () => {
  const failure = (name: string) => [
    ` FAIL  unit  ${name}`,
    "Error: on purpose",
    ...Array(200).fill(`- a line of ${name}`),
  ];
  const summary = whatFailed(["⎯⎯ Failed Tests 2 ⎯⎯", "", ...failure("first"), ...failure("second")]);
  expect(summary).toContain(" FAIL  unit  second");
  expect(summary.length).toBeLessThan(30);
});

test("a program without a list of failures is summed up by its last lines", () => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`);
  expect(whatFailed(lines)).toEqual(lines.slice(60));
});
