import { expect, test } from "vitest";
import { hasSecret, type Props, plain, secret, unknown } from "../protocol/values.ts";
import { checked } from "./inputs.ts";
import { kindOf } from "./kinds.ts";

const configMap = kindOf("kubernetes:core/v1:ConfigMap") as never;
const secrets = kindOf("kubernetes:core/v1:Secret") as never;
const seed = new Uint8Array([1, 2, 3]);
const check = (kind: never, news: Props, olds: Props = {}) => checked(kind, { name: "settings", olds, news, seed });

test("a Secret's texts become data, and all of it is secret", () => {
  const inputs = check(secrets, { metadata: { name: "a" }, stringData: { key: secret("value"), other: "b" } });
  expect(inputs.stringData).toBeUndefined();
  expect(inputs.data).toEqual(secret({ key: "dmFsdWU=", other: "Yg==" }));
});

test("a text that isn't known yet stays as it is, and secret", () => {
  const inputs = check(secrets, { metadata: { name: "a" }, stringData: { key: unknown } });
  expect(inputs.stringData).toEqual(secret({ key: unknown }));
});

test("an object without a name gets one from the program's, the same in preview and run", () => {
  const inputs = check(configMap, { metadata: { labels: { a: "b" } } });
  const metadata = inputs.metadata as { name: string; annotations: object };
  expect(metadata.name).toMatch(/^settings-[0-9a-f]{8}$/);
  expect(metadata.annotations).toEqual({ "pulumi.com/autonamed": "true" });
  expect(check(configMap, { metadata: { labels: { a: "b" } } })).toEqual(inputs);
});

test("a name that Pulumi gave stays", () => {
  const olds = { metadata: { name: "settings-1234", annotations: { "pulumi.com/autonamed": "true" } } };
  expect(check(configMap, {}, olds).metadata).toEqual(olds.metadata);
});

test("a name of the program's own goes before the old one", () => {
  expect(check(configMap, { metadata: { name: "mine" } }, { metadata: { name: "old" } }).metadata).toEqual({
    name: "mine",
  });
});

test("names by the API server are refused", () => {
  expect(() => check(configMap, { metadata: { generateName: "a-" } })).toThrow("generateName");
});

test("secrets in other objects stay secret", () => {
  const inputs = check(configMap, { metadata: { name: "a" }, data: { key: secret("value"), other: "b" } });
  expect(inputs.data).toEqual({ key: secret("value"), other: "b" });
  expect(hasSecret(plain(inputs))).toBe(false);
});

test("annotations of Pulumi's that the stand-in doesn't follow are refused by name", () => {
  const annotated = (name: string) => ({ metadata: { name: "a", annotations: { [name]: "true" } } });
  expect(() => check(configMap, annotated("pulumi.com/waitFor"))).toThrow(
    /does not support the annotation pulumi\.com\/waitFor: use the official/,
  );
  for (const known of ["pulumi.com/skipAwait", "pulumi.com/replaceUnready", "example.com/other"])
    expect(check(configMap, annotated(known)).metadata).toMatchObject(annotated(known).metadata);
});
