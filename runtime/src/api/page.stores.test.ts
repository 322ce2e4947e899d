/** The desktop page is never kept by a browser, and its files are kept for good, under names that tell their content. */
import { beforeAll, expect, test } from "vitest";
import { openApi } from "../testing/api.ts";
import { build } from "../testing/program.ts";
import { servePage } from "./http/http.ts";

beforeAll(build, 600_000);

test("a page's files can be loaded from where it says, and kept; another version's files are not kept", async () => {
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
