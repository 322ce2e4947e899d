/** infra and the runtime parse Kubernetes quantities in the same way. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isQuantity, quantityValue } from "../infra/config/quantity.ts";
import { amount } from "../runtime/src/domain/quota/quantities.ts";

const suffixes = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "e3", "E-2"];

test("a quantity that the config accepts has the same value in the runtime", () => {
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

test("a quantity that the config refuses is refused by the runtime", () => {
  const almost = fc.tuple(fc.nat(99), fc.string({ maxLength: 3 })).map(([number, rest]) => `${number}${rest}`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), almost), (text) => {
      fc.pre(!isQuantity(text));
      expect(() => amount(text)).toThrow("is not a Kubernetes quantity");
    }),
  );
});
