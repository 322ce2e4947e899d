import { execFileSync } from "node:child_process";
import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { Tickets } from "../api/access/tickets.ts";
import { sessionToken } from "../channel/token.ts";
import { TokenKeys } from "../config/tokenKeys.ts";
import { credentialOf } from "../testing/fixtures.ts";
import { addToLogContext, withLogContext } from "./logContext.ts";
import { createLogger } from "./logging.ts";

const tokenKey = "0123456789abcdef0123456789abcdef";
const id = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11";

/** A logger and its output. */
function open() {
  const lines: string[] = [];
  const logger = createLogger("info", "api", { write: (line) => lines.push(line) });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? "null") };
}

test("secrets with a known pattern are removed wherever they are", async () => {
  const permission = { sessionId: id, tenant: "acme", mode: "interactive" } as const;
  const { ticket } = await new Tickets(TokenKeys.one(tokenKey)).issue(permission, credentialOf("acme"));
  for (const secret of [
    "berth_acme_S3cret-0123456789",
    "berth_admin_S3cret_0123",
    ticket,
    sessionToken(tokenKey, id),
  ]) {
    const { logger, lines } = open();
    logger.info({ url: `/v1/sessions/1/desktop?x=1&ticket=${secret}&y=2` }, `a message with ${secret} in it`);
    logger.error({ err: new Error(`refused ${secret}`, { cause: new Error(`by ${secret}`) }) }, "an error");
    logger.child({ detail: secret }).info({ list: [{ deep: { deeper: secret } }] }, "deep");
    const proof = secret.slice(secret.indexOf(".") + 1);
    for (const line of lines) {
      expect(line).not.toContain(secret);
      expect(line).not.toContain(proof);
      expect(() => JSON.parse(line)).not.toThrow();
    }
    expect(lines[0]).toContain("&y=2");
  }
});

test("secrets without a pattern are removed by the name of their field", () => {
  const fields = ["authorization", "cookie", "password", "postgresPassword", "token", "tokenKey", "secrets", "env"];
  for (const field of [...fields, "session-token", "client_secret", "webhookSecret", "key", "stringData"]) {
    const { logger, lines } = open();
    for (const value of ["hunter2", ["hunter2"], { NAME: "hunter2", more: { x: "hunter2" } }]) {
      logger.info({ [field]: value }, "flat");
      logger.info({ request: { headers: { [field]: value } } }, "nested");
      logger.child({ [field]: value }).info("child");
    }
    expect(lines).toHaveLength(9);
    expect(lines.join(), field).not.toContain("hunter2");
  }
});

test("in URLs, parameters and passwords are removed, and the rest stays", () => {
  const { logger, lines, last } = open();
  logger.info({ url: "/websockify?x=1&token=abc" }, "https://example.org/#key=abc");
  expect(last()).toMatchObject({ url: "/websockify?x=1&token=[redacted]", msg: "https://example.org/#key=[redacted]" });
  logger.info("could not reach redis://user:hunter2@redis:6379, Authorization: Bearer hunter2");
  expect(lines.at(-1)).not.toContain("hunter2");
  logger.info({ url: "/v1/sessions?limit=1&cursor=abc" }, "fine");
  expect(last().url).toBe("/v1/sessions?limit=1&cursor=abc");
});

test("whatever is logged, each entry is one line of JSON", () => {
  fc.assert(
    fc.property(fc.object({ maxDepth: 10 }), fc.string(), (fields, message) => {
      const { logger, lines } = open();
      logger.info({ fields }, "%s", message);
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? "")).toMatchObject({ level: "info", role: "api" });
    }),
  );
});

test("lines within a request or a job contain its ids, and lines outside do not", async () => {
  const { logger, last } = open();
  await withLogContext({ requestId: "r1" }, async () => {
    await Promise.resolve();
    addToLogContext({ tenant: "acme", sessionId: id });
    await new Promise((resolve) => setImmediate(resolve));
    logger.info("inside");
  });
  expect(last()).toMatchObject({ requestId: "r1", tenant: "acme", sessionId: id, msg: "inside" });
  logger.info("outside");
  expect(last()).not.toHaveProperty("requestId");
});

test("the last lines of a process that ends are in the log and in order, however busy the process is", () => {
  const program = `
    const { createLogger } = await import(${JSON.stringify(new URL("./logging.ts", import.meta.url).href)});
    const { pbkdf2 } = await import("node:crypto");
    const logger = createLogger("info", "api");
    // All of Node's threads for background writes are busy.
    for (let thread = 0; thread < 8; thread++) pbkdf2("", "", 100_000, 64, "sha512", () => {});
    for (let step = 1; step <= 3; step++) logger.info({ step });
    process.exit();`;
  const output = execFileSync(process.execPath, ["--input-type=module", "--eval", program], { encoding: "utf8" });
  const steps = output
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).step);
  expect(steps).toEqual([1, 2, 3]);
});
