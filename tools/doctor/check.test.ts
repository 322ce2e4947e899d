import { expect, test } from "vitest";
import { exitCode, failed, json, line, ok, type Result, skipped } from "./check.ts";
import { optionsOf } from "./main.ts";

const results: Result[] = [
  { name: "dns", ...ok("names resolve") },
  { name: "storage", ...failed("no volume", "name another class") },
  { name: "ingress", ...skipped("there is none") },
];

test("each result is one line, and a failure says what to do", () => {
  expect(results.map(line)).toEqual([
    "✓ dns: names resolve",
    "✗ storage: no volume. Do: name another class",
    "– ingress: there is none",
  ]);
});

test("the exit code is 1 only if a check has failed, and -o json says the same", () => {
  expect(exitCode(results)).toBe(1);
  expect(exitCode(results.filter(({ state }) => state !== "failed"))).toBe(0);
  expect(JSON.parse(json(results))).toEqual({
    ok: false,
    checks: [
      { name: "dns", state: "ok", says: "names resolve" },
      { name: "storage", state: "failed", says: "no volume", remedy: "name another class" },
      { name: "ingress", state: "skipped", says: "there is none" },
    ],
  });
});

test("the arguments name a stack and a format", () => {
  expect(optionsOf(["--stack", "prod", "-o", "json"])).toEqual({ stack: "prod", asJson: true, onlyLook: false });
  expect(optionsOf(["--stack", "prod", "--look"])).toMatchObject({ asJson: false, onlyLook: true });
});

test.each([
  [[], /^name the stack\.\nnpm run doctor/],
  [["--stack", "a", "-o", "yaml"], /^-o yaml: the only format is json/],
  [["--stak", "a"], /^Unknown option '--stak'/],
])("the arguments %j are refused", (args, message) => {
  expect(() => optionsOf(args)).toThrow(message);
});
