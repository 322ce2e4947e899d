/** Checks that docs/pages.ts says for each command in README and docs how the proof `docs` runs it, or why it does not. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";
import { decide, decideOn } from "./docs/decide.ts";
import { anchorsOf, linksOf, printed } from "./docs/markdown.ts";
import { pages } from "./docs/pages.ts";

const names = globSync(["README.md", "docs/*.md", "infra/README.md"], { cwd: root }).sort();

test.each(names)("pages.ts has an entry for each command on the page %s", (name) => {
  const { undecided, unused } = decide(name);
  expect(
    undecided.map(({ line, text }) => `${name}:${line} ${text}`),
    "add a key for the command to the page's entry in tests/docs/pages.ts, which says how to run it, or why it is not run",
  ).toEqual([]);
  expect(unused, "no command of the page begins with this key any more, so delete the key").toEqual([]);
});

test.each([...names, "images/berthd/README.md"])("%s links to files and headings that exist", (name) => {
  const broken = linksOf(readFileSync(join(root, name), "utf8")).filter((link) => {
    const [path = "", anchor] = link.split("#");
    const file = path === "" ? join(root, name) : join(root, dirname(name), path);
    if (!existsSync(file)) return true;
    return anchor !== undefined && !anchorsOf(readFileSync(file, "utf8")).includes(anchor);
  });
  expect(broken).toEqual([]);
});

test("README leads to every page of docs", () => {
  const links = linksOf(readFileSync(join(root, "README.md"), "utf8"));
  expect(names.filter((name) => name.startsWith("docs/") && !links.includes(name))).toEqual([]);
});

test("every page in the table exists", () => {
  expect(Object.keys(pages).filter((name) => !names.includes(name))).toEqual([]);
});

test("commands are read from indented blocks, from fences of the language sh and from code spans, and YAML from its fences", () => {
  const page = [
    "Run `npm run\nup` or `ls`:",
    "",
    "    cd a    # not a comment line",
    "    for i in 1; do",
    "      echo $i",
    "    done",
    "",
    "    # a comment line",
    "    curl \\",
    "      -d '{",
    "      }' b",
    "    cat <<'END'",
    "    text",
    "    END",
    "",
    "```",
    "    text",
    "```",
    "",
    "1. Then",
    "   ```sh",
    "   pulumi up",
    "   ```",
    "",
    "```yaml",
    "a: 1",
    "```",
    "`kubectl get pods` ends it.",
  ].join("\n");
  expect(printed(page)).toEqual([
    { kind: "inline", text: "npm run up", line: 1 },
    { kind: "block", text: "cd a    # not a comment line", line: 4 },
    { kind: "block", text: "for i in 1; do\n  echo $i\ndone", line: 5 },
    { kind: "block", text: "curl \\\n  -d '{\n  }' b", line: 10 },
    { kind: "block", text: "cat <<'END'\ntext\nEND", line: 13 },
    { kind: "block", text: "pulumi up", line: 23 },
    { kind: "yaml", text: "a: 1", line: 27 },
    { kind: "inline", text: "kubectl get pods", line: 29 },
  ]);
});

test("a page's links are those to files and headings, and a heading's anchor is GitHub's", () => {
  const page =
    "# What's `up`, and why?\n[a](b.md#c) [d](#e) [f](https://g.example)\n```\n# h\n[i](j)\n```\n## I want to …";
  expect(linksOf(page)).toEqual(["b.md#c", "#e"]);
  expect(anchorsOf(page)).toEqual(["whats-up-and-why", "i-want-to-"]);
});

test("an indented block that is not shell code is refused", () => {
  expect(() => printed("Text:\n\n    it's text")).toThrow("line 3");
});

test("a command without an entry is undecided, and an entry without a command is unused", () => {
  const page = { shell: "plain", commands: { "npm run up": { not: "why" }, "npm run down": {} } } as const;
  expect(decideOn("    npm run up -- --context A\n    ls\n\n`pulumi up`", page)).toMatchObject({
    decided: [{ key: "npm run up" }],
    undecided: [{ text: "ls", line: 2 }],
    unused: ["npm run down"],
  });
});

test("the page on token keys drops a leaked key only after the sessions have ended", () => {
  const keys = decide("docs/secrets.md").decided.map(({ key }) => key);
  const ends = "pulumi config set --path 'berth:tenants[0].maxSessions' 0";
  const drops = keys.indexOf("pulumi config set --path berth:tokenKeys.oldest 4");
  expect(keys.lastIndexOf(ends)).not.toBe(-1);
  expect(drops).toBeGreaterThan(keys.lastIndexOf(ends));
});
