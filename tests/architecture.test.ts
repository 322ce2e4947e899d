/** docs/architecture.md names files and rooms that are there. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rooms } from "../local/checks/layers.ts";
import { root } from "../local/lib/paths.ts";

const page = readFileSync(join(root, "docs/architecture.md"), "utf8");

test("every file that the page links to exists", () => {
  const links = [...page.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(30);
  expect(links.filter((link) => !existsSync(join(root, "docs", link)))).toEqual([]);
});

test("every room of the runtime is on the page", () => {
  const folders = readdirSync(join(root, "runtime/src"), { withFileTypes: true }).filter((one) => one.isDirectory());
  expect(folders.map(({ name }) => name).sort()).toEqual([...Object.keys(rooms), "testing"].sort());
  for (const { name } of folders) expect(page).toMatch(new RegExp(`\\["${name}: |\`${name}\``));
});
