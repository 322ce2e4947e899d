import { expect, test } from "vitest";
import { median, meets, parseFigure } from "./report.ts";

test("a figure is read from its line, and other lines of a benchmark are no figures", () => {
  expect(parseFigure("session-start-10 1.07 <=1.10")).toEqual({
    name: "session-start-10",
    value: 1.07,
    target: "<=1.10",
  });
  expect(parseFigure("api-mib 84.20 -")).toEqual({ name: "api-mib", value: 84.2, target: "-" });
  for (const line of ["", "hello", "started 10 sessions", "ratio NaN <=1.10", "a b 1.00 <=1"]) {
    expect(parseFigure(line), line).toBeUndefined();
  }
});

test("a figure's target is an upper limit, a lower limit or no limit", () => {
  const figure = (value: number, target: "<=1.1" | ">=0.5" | "-") => ({ name: "x", value, target });
  expect(meets(figure(1.1, "<=1.1"))).toBe(true);
  expect(meets(figure(1.11, "<=1.1"))).toBe(false);
  expect(meets(figure(0.5, ">=0.5"))).toBe(true);
  expect(meets(figure(0.49, ">=0.5"))).toBe(false);
  expect(meets(figure(-7, "-"))).toBe(true);
});

test("the median does not depend on the order of the values", () => {
  expect(median([9, 1, 2])).toBe(2);
  expect(median([4, 1, 3, 2])).toBe(2.5);
});
