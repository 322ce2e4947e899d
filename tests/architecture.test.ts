/** docs/architecture.md names files and rooms that are there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
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
])("every room of $folder is on the page", ({ folder, rooms }, forTests) => {
  const folders = readdirSync(join(root, folder), { withFileTypes: true }).filter((one) => one.isDirectory());
  const names = folders.map(({ name }) => name).filter((name) => name !== "node_modules");
  expect(names.sort()).toEqual([...Object.keys(rooms), ...forTests].sort());
  for (const name of names) expect(page).toMatch(new RegExp(`\\["${name}: |\`${name}\``));
});
