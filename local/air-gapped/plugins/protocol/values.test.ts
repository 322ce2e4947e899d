import { expect, test } from "vitest";
import { changedKeys, hasSecret, hasUnknown, isSecret, plain, secret, unknown, withSecretsLike } from "./values.ts";

test("secrets are unpacked wherever they are, and found", () => {
  const value = { a: [secret("x")], b: secret({ c: secret(1) }) };
  expect(plain(value)).toEqual({ a: ["x"], b: { c: 1 } });
  expect(hasSecret(value)).toBe(true);
  expect(hasSecret(plain(value))).toBe(false);
});

test("a secret is packed once", () => {
  expect(secret(secret("x"))).toEqual(secret("x"));
});

test("what isn't known yet is found at any depth", () => {
  expect(hasUnknown({ a: [{ b: secret(unknown) }] })).toBe(true);
  expect(hasUnknown({ a: [{ b: "known" }] })).toBe(false);
});

test("a value is secret where it was secret before, and as a whole where a list holds one", () => {
  const withSecrets = withSecretsLike({ a: { b: 1, c: 2 }, list: [1, 2] }, { a: { b: secret(0) }, list: [secret(1)] });
  expect(withSecrets).toEqual({ a: { b: secret(1), c: 2 }, list: secret([1, 2]) });
  expect(isSecret(withSecretsLike({ a: 1 }, secret({})))).toBe(true);
});

test("values are the same whatever the order of their keys", () => {
  expect(changedKeys({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 })).toEqual([]);
  expect(changedKeys({ a: [1, 2] }, { a: [2, 1] })).toEqual(["a"]);
  expect(changedKeys({ a: 1, b: 2 }, { a: 1, c: 2 })).toEqual(["b", "c"]);
});
