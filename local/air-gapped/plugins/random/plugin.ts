/** The stand-in for Pulumi's plugin random, with only the resources that Berth's stack uses. */
import { randomBytes, randomInt } from "node:crypto";
import { InputError, type Plugin, type Resource, refuseOthers, unchanged } from "../protocol/plugin.ts";
import { changedKeys, hasUnknown, type Props, plain, secret } from "../protocol/values.ts";

/** The arguments that the stand-in supports. A change of any argument makes a new value. `keepers` have no other purpose. */
type Arguments = { length?: number; byteLength?: number; special?: boolean; keepers?: Record<string, string> };

/** A type of random value. */
interface Value {
  /** The argument with the size of the value. */
  size: "length" | "byteLength";
  arguments: (keyof Arguments)[];
  make(size: number, args: Arguments): { id: string; outputs: Props };
}

const letters = "abcdefghijklmnopqrstuvwxyz";
/** The characters of passwords, in the official plugin's order. */
const alphabet = (special: boolean): string =>
  `${letters}${letters.toUpperCase()}0123456789${special ? "!@#$%&*()-_=+[]{}<>:?" : ""}`;

const password: Value = {
  size: "length",
  arguments: ["length", "special", "keepers"],
  make(length, { special = true }) {
    const characters = alphabet(special);
    const result = Array.from({ length }, () => characters[randomInt(characters.length)]).join("");
    const rest = { lower: true, upper: true, numeric: true, number: true, minLower: 0, minUpper: 0, minNumeric: 0 };
    const outputs = { ...rest, minSpecial: 0, special, result: secret(result), id: "none" };
    return { id: "none", outputs: { ...outputs, __meta: JSON.stringify({ schema_version: "3" }) } };
  },
};

const bytes: Value = {
  size: "length",
  arguments: ["length", "keepers"],
  make(length) {
    const made = randomBytes(length);
    // The official plugin uses the bytes themselves as the id. The stand-in does not, because the state does not encrypt ids.
    return { id: "none", outputs: { base64: secret(made.toString("base64")), hex: secret(made.toString("hex")) } };
  },
};

/** The value of a RandomId: random bytes that Pulumi does not treat as a secret. */
const id: Value = {
  size: "byteLength",
  arguments: ["byteLength", "keepers"],
  make(length) {
    const made = randomBytes(length);
    const [hex, b64Url] = [made.toString("hex"), made.toString("base64url")];
    const outputs = { hex, b64Url, b64Std: made.toString("base64"), dec: BigInt(`0x${hex}`).toString() };
    return { id: b64Url, outputs };
  },
};

const values: Record<string, Value> = {
  "random:index/randomPassword:RandomPassword": password,
  "random:index/randomBytes:RandomBytes": bytes,
  "random:index/randomId:RandomId": id,
};

export const randomPlugin: Plugin = {
  resource: (type) => values[type] && resourceOf(type, values[type]),
};

function resourceOf(type: string, value: Value): Resource {
  const made = (inputs: Props) => {
    const args = plain<Arguments>(inputs);
    const { id, outputs } = value.make(Number(args[value.size]), args);
    return { id, state: { ...outputs, ...inputs } };
  };
  return {
    async check({ news }) {
      refuseOthers(type, news, value.arguments);
      const size = plain<Arguments>(news)[value.size];
      if (!hasUnknown(news) && !(Number.isInteger(size) && Number(size) > 0))
        throw new InputError(`${value.size} is ${size}, but must be a whole number above 0.`);
      return news;
    },
    async diff({ state, inputs }) {
      const [olds, news] = [plain<Props>(state), plain<Props>(inputs)];
      // An argument that the program leaves out has its default value, which the state contains.
      const changed = changedKeys(olds, { ...olds, ...defaults(olds), ...news });
      return changed.length > 0 ? { changed, replaces: changed } : unchanged;
    },
    create: async ({ inputs, preview }) => (preview ? { id: "", state: inputs } : made(inputs)),
    read: async ({ inputs, state }) => ({ inputs, state }),
    update: async ({ state, inputs }) => ({ ...state, ...inputs }),
    async delete() {},
  };
}

/** The default values of the arguments that the program may leave out. */
const defaults = (olds: Props): Props => ({
  ...("special" in olds && { special: true }),
  ...("keepers" in olds && { keepers: undefined }),
});
