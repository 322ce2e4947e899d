/**
 * Browsers never cache the desktop page. They cache the page's files for a year, because the paths of the files contain a hash
 * of the content.
 */
import { beforeAll, expect, test } from "vitest";
import { openApi } from "../testing/api.ts";
import { build } from "../testing/program.ts";
import { servePage } from "./http/http.ts";

beforeAll(build);

test("a page's files load from the paths in the page and are cached; another version's files are not", async () => {
  const { app } = await openApi();
  await servePage(app);
  const page = await app.inject({ url: "/desktop/6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11" });
  expect(page.headers).toMatchObject({ "cache-control": "no-store", "content-type": "text/html; charset=utf-8" });
  const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path = ""]) => path);
  expect(files).toHaveLength(3);
  for (const url of [...files, ...files.slice(0, 1).map((path) => path.replace(/[^/]+$/, "novnc/core/rfb.js"))]) {
    const file = await app.inject({ url });
    expect([url, file.statusCode]).toEqual([url, 200]);
    expect(file.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
    const other = await app.inject({ url: url.replace(/assets\/[^/]+/, "assets/000000000000") });
    expect([other.statusCode, other.headers["cache-control"]]).toEqual([200, "no-store"]);
  }
});
