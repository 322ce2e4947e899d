/** The files and folders that docs/architecture.md names exist, and no file of the product is longer than 300 lines. */
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { infra, runtime } from "../local/checks/layers.ts";
import { root } from "../machine/machine.ts";

const page = readFileSync(join(root, "docs/architecture.md"), "utf8");

test("every file that the page links to exists", () => {
  const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(30);
  expect(links.filter((link) => !existsSync(join(root, "docs", link)))).toEqual([]);
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
  const files = globSync("{images,infra,local,machine,policy,runtime,tools}/**/*.{ts,mjs,go,sh}", {
    cwd: root,
    exclude: ["**/node_modules"],
  }).filter((file) => !otherFiles.test(file));
  expect(files.length).toBeGreaterThan(400);
  const lines = (file: string) => readFileSync(join(root, file), "utf8").trimEnd().split("\n").length;
  expect(files.filter((file) => lines(file) > 300)).toEqual([]);
});
