import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { imageTags } from "../../infra/images/base-images/pinned.ts";
import { baseImages, debian } from "./list.ts";

test("every base image of the stack is named in full and has a recipe", () => {
  expect(baseImages.map(({ tag }) => tag).sort()).toEqual(Object.values(imageTags).sort());
  for (const { tag, recipe } of baseImages) {
    expect(tag).toMatch(/^[a-z0-9.]+\.[a-z]+\/[a-z0-9/_-]+:[a-z0-9.-]+$/);
    expect(existsSync(join(import.meta.dirname, "stand-ins", recipe, "Dockerfile"))).toBe(true);
  }
  expect(new Set(baseImages.map(({ recipe }) => recipe)).size).toBe(baseImages.length);
});

test("the image that others are built from comes first", () => {
  expect(baseImages[0]).toBe(debian);
});
