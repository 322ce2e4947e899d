import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";

/** The rows of the table: the name of a proof, and where it was last green. */
const [, section = ""] = readFileSync(join(root, "docs/development.md"), "utf8").split(
  "\n## When the proofs were last green\n",
);
const rows = [...section.matchAll(/^\| ([a-z0-9-]+) \| ([^|]*) \|/gm)].filter(([, name]) => name !== "proof");

test("docs/development.md says for each proof when it was last green", () => {
  const files = globSync("{images,infra,local,runtime/src,tests,tools}/**/*.proof.test.ts", { cwd: root });
  expect(rows.map(([, name]) => name).sort()).toEqual(files.map((file) => basename(file, ".proof.test.ts")).sort());
});

test("each commit at which a proof was last green is in the history", async ({ skip }) => {
  const git = (args: string[], input = "") => execa("git", args, { cwd: root, input, reject: false });
  const { stdout: shallow } = await git(["rev-parse", "--is-shallow-repository"]);
  skip(shallow !== "false", "this checkout has no history, or only a part of it");
  const commits = rows.flatMap(([, , green = ""]) => green.match(/\b[0-9a-f]{7}\b/g) ?? []);
  expect(commits.length).toBeGreaterThan(0);
  const { stdout } = await git(["cat-file", "--batch-check"], commits.join("\n"));
  expect(stdout.split("\n").filter((line) => !line.includes(" commit "))).toEqual([]);
});
