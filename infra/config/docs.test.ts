import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configDocs } from "./docs.ts";

test("docs/config.md matches the schema", () => {
  const written = readFileSync(new URL("../../docs/config.md", import.meta.url), "utf8");
  expect(written, "write it again: npm run config:docs").toBe(configDocs());
});
