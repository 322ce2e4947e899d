/** What a Markdown page prints for its reader to run or to paste. */
import { spawnSync } from "node:child_process";

export interface Printed {
  /** `block`: of an indented block or a fence of `sh`; `inline`: in a sentence or a table; `yaml`: a whole fence of it. */
  kind: "block" | "inline" | "yaml";
  text: string;
  /** Of its first line, from 1. */
  line: number;
}

/** Programs by which a code span in a sentence is known as a command: it begins with one and goes on. */
const programs =
  "apt apt-get cosign crane curl docker docker-compose eval export git go kubectl node npm npx openssl printf pulumi sh";
const command = new RegExp(`^([A-Z_]+=\\S+ )*(${programs.replaceAll(" ", "|")}) `);

/**
 * The commands of the page, in its order, and its YAML. Fences of other languages, or of none, are text.
 * @throws Error where a block is no shell
 */
export function printed(markdown: string): Printed[] {
  const found: Printed[] = [];
  const lines = markdown.split("\n");
  /** What is no block, for code spans; a line break is as good as a space in them. */
  const prose = [...lines];
  for (let at = 0; at < lines.length; at++) {
    const begin = at;
    const [, fence, language] = /^\s*(```)(\w*)/.exec(lines[at] ?? "") ?? [];
    if (fence) {
      do at += 1;
      while (at < lines.length && lines[at]?.trim() !== fence);
      const block = lines.slice(begin + 1, at);
      if (language === "sh") found.push(...commands(block, begin + 2));
      if (language === "yaml") found.push({ kind: "yaml", text: block.join("\n"), line: begin + 2 });
    } else if (isIndented(lines[at]) && !lines[at - 1]?.trim()) {
      while (isIndented(lines[at + 1]) || (lines[at + 1] === "" && isIndented(lines[at + 2]))) at += 1;
      found.push(...commands(lines.slice(begin, at + 1), begin + 1));
    } else continue;
    prose.fill("", begin, at + 1);
  }
  return [...found, ...inline(prose)].sort((a, b) => a.line - b.line);
}

const isIndented = (line: string | undefined) => line !== undefined && /^ {4}\S| {5}/.test(line);

/** The block's commands: each goes on until bash can read it as a whole. */
function commands(block: string[], line: number): Printed[] {
  const found: Printed[] = [];
  const indent = Math.min(...block.filter((text) => text.trim()).map((text) => text.search(/\S/)));
  let open: string[] = [];
  block.forEach((text, index) => {
    if (open.length === 0 && /^\s*(#.*)?$/.test(text)) return;
    open.push(text.slice(indent));
    const whole = open.join("\n");
    if (whole.endsWith("\\") || !isShell(whole)) return;
    found.push({ kind: "block", text: whole, line: line + index + 1 - open.length });
    open = [];
  });
  if (open.length > 0)
    throw new Error(
      `line ${line}: an indented block or a fence of \`sh\` is for commands, and this is none:\n${open.join("\n")}`,
    );
  return found;
}

const isShell = (text: string) => spawnSync("bash", ["-n"], { input: text }).status === 0;

function inline(prose: string[]): Printed[] {
  return [...prose.join("\n").matchAll(/(?<!`)`([^`]+)`(?!`)/g)].flatMap(({ 1: span = "", index }) => {
    const text = span.replace(/\s+/g, " ");
    return command.test(text) ? [{ kind: "inline" as const, text, line: lineOf(prose, index) }] : [];
  });
}

const lineOf = (lines: string[], index: number) => lines.join("\n").slice(0, index).split("\n").length;
