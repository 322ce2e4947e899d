import { expect, test } from "vitest";
import { contentOf } from "./tag.ts";

const inputs = { platform: "linux/amd64", network: "default", args: { A: "1", B: "2" }, server: undefined };

test("the order of the build arguments does not change the tag, and each value does", () => {
  expect(contentOf("berthd", { ...inputs, args: { B: "2", A: "1" } })).toBe(contentOf("berthd", inputs));
  const others = [
    contentOf("agent", inputs),
    contentOf("berthd", { ...inputs, args: { A: "1", B: "3" } }),
    contentOf("berthd", { ...inputs, args: { A: "1", C: "2" } }),
    contentOf("berthd", { ...inputs, server: "ghcr.io" }),
  ];
  expect(new Set([contentOf("berthd", inputs), ...others]).size).toBe(others.length + 1);
});
