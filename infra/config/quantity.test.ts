import { expect, test } from "vitest";
import { isQuantity, quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import { quantityGuesses } from "./quantity.ts";

test.each(["0", "1", "500m", "0.5", ".5", "2k", "40G", "40Gi", "1.5Ti", "1e3", "12E2"])("%s is a quantity", (text) => {
  expect(isQuantity(text)).toBe(true);
});

test.each(["", "40GB", "40 Gi", "-1", "1K", "Gi", "1,5Gi", "50%"])("%o is not a quantity", (text) => {
  expect(isQuantity(text)).toBe(false);
});

test.each([
  ["40GB", ["40G", "40Gi"]],
  ["40 Gi", ["40Gi"]],
  ["40gib", ["40Gi"]],
  ["512mb", ["512M", "512Mi"]],
  ["1K", ["1k", "1Ki"]],
  ["a lot", []],
])("the guesses for %o are %j", (text, guesses) => {
  expect(quantityGuesses(text)).toEqual(guesses);
});

test.each([
  ["500m", 0.5],
  ["2", 2],
  ["1e3", 1000],
  ["40G", 40e9],
  ["512Mi", 512 * 1024 ** 2],
  ["1.5Ki", 1536],
])("%s has the value %d", (text, value) => {
  expect(quantityValue(text)).toBe(value);
});
