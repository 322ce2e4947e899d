/**
 * docs/architecture.md, and the pages with more places in the code, name files and folders that exist. The first page stays
 * short, and no file of the product is longer than 300 lines.
 */
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";
import { infra, runtime } from "../tools/checks/layers.ts";
import { linksOf } from "./docs/markdown.ts";

const page = readFileSync(join(root, "docs/architecture.md"), "utf8");

/** Each page names files to open. The number makes sure that the test finds the links: the page has more of them. */
test.each([
  ["docs/architecture.md", 50],
  ["docs/runtime.md", 20],
  ["infra/README.md", 60],
])("every file that %s links to exists", (name, least) => {
  const files = linksOf(readFileSync(join(root, name), "utf8"))
    .map((link) => link.replace(/#.*/, ""))
    .filter((file) => file !== "");
  expect(files.length).toBeGreaterThan(least);
  expect(files.filter((file) => !existsSync(join(root, dirname(name), file)))).toEqual([]);
});

test("the page names the files for the twenty likeliest changes, and leaves others to the other pages", () => {
  const [, table = ""] = page.split("| what | open |\n|---|---|\n");
  expect(table.trim().split("\n")).toHaveLength(20);
});

test.each([
  [runtime, ["testing"]],
  [infra, ["testdata", "testing"]],
])("the page names every folder in $folder", ({ folder, layers }, forTests) => {
  const folders = readdirSync(join(root, folder), { withFileTypes: true }).filter((one) => one.isDirectory());
  const names = folders.map(({ name }) => name).filter((name) => name !== "node_modules");
  expect(names.sort()).toEqual([...Object.keys(layers), ...forTests].sort());
  for (const name of names) expect(page).toMatch(new RegExp(`\\["${name}: |\`${name}\``));
});

/** Files that are not part of the product: tests, files that only tests use, and generated files. */
const otherFiles = /\.test\.ts$|_test\.go$|\.cases\.ts$|\/(testing|testservice|gen|dist|node_modules)\//;

test("no file of the product has more than 300 lines", () => {
  const files = globSync("{images,infra,local,machine,policy,runtime,tools}/**/*.{ts,mjs,go,sh,sql}", {
    cwd: root,
    exclude: ["**/node_modules"],
  }).filter((file) => !otherFiles.test(file));
  expect(files.length).toBeGreaterThan(400);
  const lines = (file: string) => readFileSync(join(root, file), "utf8").trimEnd().split("\n").length;
  expect(files.filter((file) => lines(file) > 300)).toEqual([]);
});
