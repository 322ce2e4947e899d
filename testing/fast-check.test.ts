import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";
import fc from "./fast-check.ts";

test("every run of the property tests tries the same values, unless PROPERTY_SEED chooses others", () => {
  const values = () => {
    const seen: number[] = [];
    fc.assert(fc.property(fc.integer(), (value) => void seen.push(value)));
    return seen;
  };
  expect(values()).toEqual(values());
  expect(fc.readConfigureGlobal().seed).toBe(Number(process.env.PROPERTY_SEED ?? 0));
});

test("no other file imports fast-check itself", async () => {
  const { stdout } = await execa(
    "git",
    ["grep", "--untracked", "--files-with-matches", "--extended-regexp", `^import .* from "fast-check"`],
    { cwd: root },
  );
  expect(stdout).toBe("testing/fast-check.ts");
});
