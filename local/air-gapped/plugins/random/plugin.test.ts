import { expect, test } from "vitest";
import { isSecret, type Props, plain } from "../protocol/values.ts";
import { randomPlugin as plugin } from "./plugin.ts";

const find = (name: string) => plugin.resource(`random:index/random${name}:Random${name}`) ?? expect.fail(name);
const limits = { preview: false, timeoutSeconds: 0, signal: new AbortController().signal };
const password = find("Password");
const bytes = find("Bytes");

test("a password is a secret of the length and the letters that were asked for", async () => {
  const { id, state } = await password.create({ inputs: { length: 64, special: false }, ...limits });
  expect(id).toBe("none");
  expect(isSecret(state.result)).toBe(true);
  expect(plain(state.result)).toMatch(/^[A-Za-z0-9]{64}$/);
  expect(new Set(plain<string>(state.result)).size).toBeGreaterThan(20);
});

test("bytes are the same in both spellings, and secret, the id included", async () => {
  const { id, state } = await bytes.create({ inputs: { length: 32 }, ...limits });
  const { base64, hex } = plain<{ base64: string; hex: string }>(state);
  expect(Buffer.from(base64, "base64").toString("hex")).toBe(hex);
  expect(hex).toHaveLength(64);
  expect(isSecret(state.base64) && isSecret(state.hex)).toBe(true);
  expect(id).not.toContain(base64);
});

test("an id is the same in all spellings, and no secret", async () => {
  const { id, state } = await find("Id").create({ inputs: { byteLength: 4 }, ...limits });
  expect(state.hex).toMatch(/^[0-9a-f]{8}$/);
  const bytes = Buffer.from(state.hex as string, "hex");
  expect([state.b64Std, state.b64Url]).toEqual([bytes.toString("base64"), id]);
  expect(state.dec).toBe(String(bytes.readUInt32BE()));
});

test("a preview makes nothing", async () => {
  const inputs = { length: 8 };
  expect(await password.create({ inputs, ...limits, preview: true })).toEqual({ id: "", state: inputs });
});

test.each<[string, Props, Props, string[]]>([
  ["nothing changed, and the value stays", { length: 8, special: false }, { length: 8, special: false }, []],
  ["another length makes a new value", { length: 8 }, { length: 9 }, ["length"]],
  ["special characters by default count as said", { length: 8 }, { length: 8, special: true }, []],
  ["without special characters a new value is made", { length: 8 }, { length: 8, special: false }, ["special"]],
  [
    "other keepers make a new value",
    { length: 8, keepers: { a: "1" } },
    { length: 8, keepers: { a: "2" } },
    ["keepers"],
  ],
  ["no keepers any more makes a new value", { length: 8, keepers: { a: "1" } }, { length: 8 }, ["keepers"]],
])("%s", async (_, olds, inputs, replaces) => {
  const { id, state } = await password.create({ inputs: olds, ...limits });
  expect(await password.diff({ id, state, inputs })).toMatchObject({ replaces });
});

test("what the stand-in doesn't know is refused by name", async () => {
  const seed = new Uint8Array();
  const check = (news: Props) => password.check({ name: "a", olds: {}, news, seed });
  await expect(check({ length: 8, minUpper: 2 })).rejects.toThrow("minUpper");
  await expect(check({ length: 0 })).rejects.toThrow("length is 0");
  expect(plugin.resource("random:index/randomPet:RandomPet")).toBeUndefined();
});
