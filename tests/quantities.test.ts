/** infra and the runtime read a quantity of Kubernetes the same way. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isQuantity, quantityValue } from "../infra/config/quantity.ts";
import { amount } from "../runtime/src/domain/quantities.ts";

const suffixes = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2"];

test("what the config takes for a quantity has the same value in the runtime", () => {
  const number = fc.oneof(
    fc.nat(),
    fc.tuple(fc.nat(9_999), fc.nat(999)).map(([whole, part]) => `${whole}.${part}`),
    fc.nat(999).map((part) => `.${part}`),
  );
  fc.assert(
    fc.property(number, fc.constantFrom(...suffixes), (one, suffix) => {
      const text = `${one}${suffix}`;
      expect(isQuantity(text), text).toBe(true);
      expect(amount(text), text).toBe(quantityValue(text));
    }),
  );
});

test("what the config refuses, the runtime refuses too", () => {
  const almost = fc.tuple(fc.nat(99), fc.string({ maxLength: 3 })).map(([number, rest]) => `${number}${rest}`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), almost), (text) => {
      fc.pre(!isQuantity(text));
      expect(() => amount(text)).toThrow("is no amount");
    }),
  );
});
