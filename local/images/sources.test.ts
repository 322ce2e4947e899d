import { expect, test } from "vitest";
import { debianSources } from "./sources.ts";

test("packages come from the machine's own mirrors, and from Debian's archives only", () => {
  const targets = [
    "Node Source|https://deb.nodesource.com/node_24.x/",
    "Debian|http://mirror.example.org/debian/",
    "Debian|http://mirror.example.org/debian/",
    "Debian-Security|http://mirror.example.org/security/",
  ];
  expect(debianSources(targets.join("\n"), "bookworm")).toBe(
    [
      "deb http://mirror.example.org/debian/ bookworm main",
      "deb http://mirror.example.org/debian/ bookworm-updates main",
      "deb http://mirror.example.org/security/ bookworm-security main",
      "",
    ].join("\n"),
  );
});

test("a machine without Debian mirrors uses Debian's", () => {
  expect(debianSources("", "bookworm")).toContain("deb http://deb.debian.org/debian/ bookworm main\n");
});
