/** Tests that every file that a public page loads has a path that the Ingress exposes. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { publicPaths } from "./sites.ts";

const folder = join(import.meta.dirname, "../../runtime/page");
/** The address of a page. All of the runtime's pages are at /desktop/ID. */
const page = "http://berth.example/desktop/6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
const files = globSync("**/*.{html,css,ts,js}", { cwd: folder }).filter((file) => !file.endsWith(".d.ts"));
const text = (file: string) => readFileSync(join(folder, file), "utf8");
const matches = (file: string, pattern: RegExp) => [...text(file).matchAll(pattern)].map(([, match = ""]) => match);

/** The files that the pages load directly, as paths from the site's root. */
const loaded = files
  .filter((file) => file.endsWith(".html"))
  .flatMap((file) => matches(file, /\b(?:src|href|action|data|poster)="([^"#]+)"/g))
  .map((reference) => new URL(reference, page).pathname);
/** The address of a file. If no page loads the file directly, the file is in the folder of the first file that a page loads. */
const placeOf = (file: string) => {
  const name = file.replace(/\.ts$/, ".js");
  const path = loaded.find((one) => one.endsWith(`/${name}`)) ?? join(loaded[0] ?? "", "..", name);
  return new URL(path, page);
};
const found = (file: string) =>
  file.endsWith(".css")
    ? matches(file, /(?:url\(|@import )["']?([^"')]+)/g).filter((reference) => !reference.startsWith("data:"))
    : matches(file, /(?:\bfrom|\bimport|\bimport\(|new URL\(|new (?:Shared)?Worker\()\s*"(\.[^"]+|\/[^"]+)"/g);
const further = files
  .filter((file) => !file.endsWith(".html"))
  .map((file) => ({ file, paths: found(file).map((reference) => new URL(reference, placeOf(file)).pathname) }));

test("this test reads all pages and scripts and finds files that they load", () => {
  expect(files).toEqual(expect.arrayContaining(["desktop.html", "desktop.css", "desktop.ts"]));
  expect(loaded.length).toBeGreaterThanOrEqual(3);
  expect(further.find(({ file }) => file === "desktop.ts")?.paths).not.toEqual([]);
});

test("a page, a script or a style loads every script and style of the folder", () => {
  const names = [...loaded, ...further.flatMap(({ paths }) => paths)].map((path) => path.split("/").at(-1));
  for (const { file } of further) expect(names).toContain(file.replace(/\.ts$/, ".js"));
});

test.each([...new Set([...loaded, ...further.flatMap(({ paths }) => paths)])])("%s is below a public path", (path) => {
  expect(publicPaths.some((prefix) => path.startsWith(`${prefix}/`))).toBe(true);
});
