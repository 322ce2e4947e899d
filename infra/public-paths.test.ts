/** Whatever a public page loads lies below a path that the Ingress leads to. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { publicPaths } from "./ingress.ts";

const folder = join(import.meta.dirname, "..", "runtime", "page");
/** Pages are at /desktop/ID. */
const page = "http://berth.example/desktop/6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";
const references = [
  ...[...readFileSync(join(folder, "desktop.html"), "utf8").matchAll(/(?:src|href)="([^"]+)"/g)],
  ...globSync("*.css", { cwd: folder }).flatMap((file) => [
    ...readFileSync(join(folder, file), "utf8").matchAll(/(?:url\(|@import )["']?([^"')]+)/g),
  ]),
].map(([, reference = ""]) => new URL(reference, page).pathname);
const script = references.find((path) => path.endsWith("/desktop.js")) ?? "";
const imports = [...readFileSync(join(folder, "desktop.ts"), "utf8").matchAll(/from "([^"]+)"/g)].map(
  ([, imported = ""]) => new URL(imported, new URL(script, page)).pathname,
);

test("the page's script, styles, icon and imports are found", () => {
  expect(references.length).toBeGreaterThanOrEqual(3);
  expect(script).not.toBe("");
  expect(imports.length).toBeGreaterThanOrEqual(1);
});

test.each([...references, ...imports])("%s is below a public path", (path) => {
  expect(publicPaths.some((prefix) => path.startsWith(`${prefix}/`))).toBe(true);
});
