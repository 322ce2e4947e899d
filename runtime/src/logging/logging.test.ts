import { expect, test } from "vitest";
import { createLogger, withoutSecrets } from "./logging.ts";

test("what lets somebody in is taken out of addresses", () => {
  expect(withoutSecrets("/v1/sessions/1/desktop?ticket=abc.def&x=1")).toBe(
    "/v1/sessions/1/desktop?ticket=[redacted]&x=1",
  );
  expect(withoutSecrets("/websockify?x=1&token=abc")).toBe("/websockify?x=1&token=[redacted]");
  expect(withoutSecrets("/v1/sessions?limit=1&cursor=abc")).toBe("/v1/sessions?limit=1&cursor=abc");
});

test("keys, tickets and tokens don't get into a log line", () => {
  const lines: string[] = [];
  const logger = createLogger("info", "api", { write: (line) => lines.push(line) });
  logger.info(
    { ticket: "S3CRET", headers: { authorization: "Bearer S3CRET" }, options: { password: "S3CRET" } },
    "hello",
  );
  expect(lines.join()).toContain("hello");
  expect(lines.join()).not.toContain("S3CRET");
});
