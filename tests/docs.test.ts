/** Each command that README and docs print is run by the proof `docs`, or there is a reason why not. */
import { globSync } from "node:fs";
import { expect, test } from "vitest";
import { root } from "../machine/machine.ts";
import { decide, decideOn } from "./docs/decide.ts";
import { printed } from "./docs/markdown.ts";
import { pages } from "./docs/pages.ts";

const names = globSync(["README.md", "docs/*.md", "infra/README.md"], { cwd: root }).sort();

test.each(names)("%s prints no command that nobody has decided on", (name) => {
  const { undecided, unused } = decide(name);
  expect(
    undecided.map(({ line, text }) => `${name}:${line} ${text}`),
    "add a key to the page in tests/docs/pages.ts: how it is run, or why not",
  ).toEqual([]);
  expect(unused, "no command of the page begins with it any more").toEqual([]);
});

test("every page of the table exists", () => {
  expect(Object.keys(pages).filter((name) => !names.includes(name))).toEqual([]);
});

test("a page's commands are those of its indented blocks, of fences of sh and in its sentences, and its YAML", () => {
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
    { kind: "block", text: "pulumi up", line: 20 },
    { kind: "yaml", text: "a: 1", line: 24 },
    { kind: "inline", text: "kubectl get pods", line: 26 },
  ]);
});

test("an indented block that is no shell is refused", () => {
  expect(() => printed("Text:\n\n    it's text")).toThrow("line 3");
});

test("what is printed but not in the table is undecided, and the other way round", () => {
  const page = { shell: "plain", commands: { "npm run up": { not: "why" }, "npm run down": {} } } as const;
  expect(decideOn("    npm run up -- --context A\n    ls\n\n`pulumi up`", page)).toMatchObject({
    decided: [{ key: "npm run up" }],
    undecided: [{ text: "ls", line: 2 }],
    unused: ["npm run down"],
  });
});

test("a token key that leaked is dropped when the sessions have ended, as its page says", () => {
  const keys = decide("docs/secrets.md").decided.map(({ key }) => key);
  const ends = "pulumi config set --path 'berth:tenants[0].maxSessions' 0";
  const drops = keys.indexOf("pulumi config set --path berth:tokenKeys.oldest 4");
  expect(keys.lastIndexOf(ends)).not.toBe(-1);
  expect(drops).toBeGreaterThan(keys.lastIndexOf(ends));
});
