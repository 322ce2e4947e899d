import { expect, test } from "vitest";
import { unreachable } from "./programAnswer.ts";

test.each([
  ["ECONNREFUSED", 409],
  ["ECONNRESET", 502],
  ["EHOSTUNREACH", 502],
  ["ETIMEDOUT", 502],
  ["ERR_INVALID_CHAR", 502],
])("a pod that can't be asked because of %s is answered with %i", (code, status) => {
  expect(unreachable(Object.assign(new Error("why"), { code })).body.status).toBe(status);
});
