import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { controllers } from "./controllers.ts";
import { openApiDocument } from "./openApi.ts";

const path = new URL("../../openapi.json", import.meta.url);

test("runtime/openapi.json describes this program (UPDATE_GOLDEN=1 rewrites it)", () => {
  const now = `${JSON.stringify(openApiDocument(controllers), null, 2)}\n`;
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(path, now);
  expect(now).toBe(readFileSync(path, "utf8"));
});

test("every operation has a unique name, a summary, and a rule for who may call it", () => {
  const operations = Object.values(openApiDocument(controllers).paths ?? {}).flatMap((item) => Object.values(item));
  expect(operations.length).toBeGreaterThan(15);
  expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
  for (const { operationId, summary, security } of operations) {
    expect(summary, operationId).toMatch(/^[A-Z]/);
    const byLink = ["readLinkedFile", "writeLinkedFile"].includes(operationId);
    expect(security, operationId).toEqual([byLink ? { link: [] } : { key: [] }]);
  }
});
