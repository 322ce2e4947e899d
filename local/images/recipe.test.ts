import { expect, test } from "vitest";
import { recipeHash } from "./ensure.ts";

const files = { Dockerfile: "FROM debian", "entrypoint.sh": "exec postgres" };

test("a stand-in's version follows its files, what goes in beside them, and the image below", () => {
  const version = recipeHash(files, ["v24"], "debian-1");
  expect(version).toMatch(/^[0-9a-f]{16}$/);
  expect(recipeHash({ "entrypoint.sh": "exec postgres", Dockerfile: "FROM debian" }, ["v24"], "debian-1")).toBe(
    version,
  );
  const others = [
    recipeHash({ ...files, Dockerfile: "FROM other" }, ["v24"], "debian-1"),
    recipeHash({ Dockerfile: "FROM debian" }, ["v24"], "debian-1"),
    recipeHash(files, ["v25"], "debian-1"),
    recipeHash(files, ["v24"], "debian-2"),
  ];
  expect(new Set([version, ...others]).size).toBe(5);
});
