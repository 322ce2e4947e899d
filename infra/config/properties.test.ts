/** Properties of the config's value types that hold for any text. */
import fc from "@berth/testing/fast-check.ts";
import { expect, test } from "vitest";
import { isQuantity, quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import { parseConfig } from "./config.ts";
import { secondsOf } from "./duration.ts";
import { quantityGuesses } from "./quantity.ts";
import { tenant } from "./tenant.ts";

const suffixes = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const quantity = fc
  .tuple(fc.nat(100_000), fc.constantFrom(...suffixes))
  .map(([number, suffix]) => `${number}${suffix}`);

test("every number with a suffix is a quantity, and a larger number is a larger quantity", () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.constantFrom(...suffixes), (number, suffix) => {
      expect(isQuantity(`${number}${suffix}`)).toBe(true);
      expect(quantityValue(`${number + 1}${suffix}`)).toBeGreaterThan(quantityValue(`${number}${suffix}`));
    }),
  );
});

test("a quantity with a wrong suffix is refused, and the guesses contain the right quantity", () => {
  fc.assert(
    fc.property(quantity, fc.constantFrom("B", "b", "ytes"), (meant, garbage) => {
      fc.pre(/[kMGTPEi]$/.test(meant));
      expect(isQuantity(meant + garbage)).toBe(false);
      expect(quantityGuesses(meant + garbage)).toContain(meant);
      expect(quantityGuesses(meant.replace(/(?=[a-zA-Z])/, " "))).toContain(meant);
    }),
  );
});

test("every guess is a quantity", () => {
  const almost = fc.tuple(fc.nat(9_999), fc.string({ maxLength: 4 })).map(([number, unit]) => `${number}${unit}`);
  fc.assert(
    fc.property(fc.oneof(fc.string(), almost), (text) => {
      for (const guess of quantityGuesses(text)) expect(isQuantity(guess)).toBe(true);
    }),
  );
});

test("a number with the unit s, m, h or d is a duration, and no other text is one", () => {
  const units = { s: 1, m: 60, h: 3_600, d: 86_400 };
  fc.assert(
    fc.property(fc.nat(999_999), fc.constantFrom(...Object.entries(units)), (number, [unit, seconds]) => {
      expect(secondsOf(`${number}${unit}`)).toBe(number * seconds);
    }),
  );
  fc.assert(
    fc.property(fc.string(), (text) => {
      fc.pre(!/^\d{1,6}[smhd]$/.test(text));
      expect(secondsOf(text)).toBeUndefined();
    }),
  );
});

test("a tenant's namespace has a valid name, and a tenant's API key contains the tenant's name", () => {
  const pieces = fc.constantFrom("a", "z", "0", "9", "-", "--", "A", "_", ".", "é", "admin");
  const names = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 45 }).map((all) => all.join("")),
  );
  fc.assert(
    fc.property(names, (name) => {
      if (!tenant.safeParse({ name }).success) return;
      expect(`tenant-${name}`).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      expect(/^berth_([a-z0-9-]+)_[A-Za-z0-9_-]+$/.exec(`berth_${name}_0123`)?.[1]).toBe(name);
      expect(name).not.toBe("admin");
    }),
  );
});

test("any value gives a config, or faults that begin with their path, and parseConfig never throws", () => {
  fc.assert(
    fc.property(
      fc.constantFrom("quota", "keys", "egress", "warmPools", "images", "name", "retention"),
      fc.jsonValue(),
      (key, value) => {
        const tenants = JSON.stringify([{ name: "acme", [key]: value }]);
        const { config, faults } = parseConfig({ context: "c", registry: "r", publicUrl: "https://b", tenants });
        if (config === undefined) for (const fault of faults) expect(fault).toMatch(/^tenants\[0\]\.\w+(\.|\[|:)/);
      },
    ),
  );
});
