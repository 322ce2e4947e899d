import { globSync, readFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { page } from "./page.ts";

vi.mock("node:fs", () => ({
  readFileSync: vi.fn(() => '<script src="/desktop/assets/VERSION/desktop.js">'),
  globSync: vi.fn(() => ["desktop.html", "desktop.js"]),
}));

test("a process reads the page and its version once, however often it serves the page's files", () => {
  const { html, version } = page();
  expect(html).toBe(`<script src="/desktop/assets/${version}/desktop.js">`);
  const reads = vi.mocked(readFileSync).mock.calls.length;
  vi.mocked(readFileSync).mockReturnValue("another build's");
  expect(page()).toEqual({ html, version });
  expect(readFileSync).toHaveBeenCalledTimes(reads);
  expect(globSync).toHaveBeenCalledTimes(1);
});
