import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { withEpoch } from "./epoch.ts";

const prod = readFileSync(new URL("../Pulumi.prod.yaml", import.meta.url), "utf8");

test("the epoch becomes a build argument, and the rest of the file stays", () => {
  const before = parse(prod);
  const after = withEpoch(prod, "2026-W48");
  expect(parse(after)).toEqual({
    ...before,
    config: { ...before.config, "berth:images": { agent: { buildArgs: { SECURITY_EPOCH: "2026-W48" } } } },
  });
  const comments = (text: string) => text.match(/#.*/g);
  expect(comments(after)).toEqual(comments(prod));
});

test("a later epoch replaces an earlier one, beside other arguments", () => {
  const file = "config:\n  berth:images:\n    agent: { buildArgs: { BROWSER: chromium, SECURITY_EPOCH: a } }\n";
  expect(parse(withEpoch(file, "b")).config["berth:images"].agent.buildArgs).toEqual({
    BROWSER: "chromium",
    SECURITY_EPOCH: "b",
  });
});

test("a finished image is refused", () => {
  expect(() => withEpoch("config:\n  berth:images: { agent: a@sha256:0 }\n", "b")).toThrow(/names a finished image/);
});
