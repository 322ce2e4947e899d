import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";

test("docs/development.md says for each proof when it was last green", () => {
  const [, section = ""] = readFileSync(join(root, "docs/development.md"), "utf8").split(
    "\n## When the proofs were last green\n",
  );
  const rows = [...section.matchAll(/^\| ([a-z0-9-]+) \|/gm)]
    .map(([, name]) => name)
    .filter((name) => name !== "proof");
  const files = globSync("{images,infra,local,runtime/src,tests,tools}/**/*.proof.test.ts", { cwd: root });
  expect(rows.sort()).toEqual(files.map((file) => basename(file, ".proof.test.ts")).sort());
});
