/** Finds the commands that readers of a Markdown page run, the YAML that they paste, and the page's links and anchors. */
import { spawnSync } from "node:child_process";

export interface Printed {
  /**
   * `block`: an indented block or a fence of `sh`. `inline`: a code span in a sentence or a table. `yaml`: a whole fence of
   * YAML.
   */
  kind: "block" | "inline" | "yaml";
  text: string;
  /** The number of the page's line in which the text begins. The page's first line is 1. */
  line: number;
}

/** A code span is a command if it begins with one of these programs and has arguments. Variables may precede the program. */
const programs =
  "apt apt-get cosign crane curl docker docker-compose eval export git go kubectl node npm npx openssl printf pulumi sh";
const command = new RegExp(`^([A-Z_]+=\\S+ )*(${programs.replaceAll(" ", "|")}) `);

/**
 * Returns the commands and the YAML of the page, in the order of the page. Commands are in indented blocks, in fences of the
 * language `sh` and in code spans; YAML is in fences of the language `yaml`. All other fences are ignored.
 * @throws Error if a block is not shell code
 */
export function printed(markdown: string): Printed[] {
  const found: Printed[] = [];
  const lines = markdown.split("\n");
  /** The text outside blocks, which is searched for code spans. In a code span, a line break counts as a space. */
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

/** Splits a block into commands. A command ends at the first line where bash can parse it completely. */
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

/**
 * Whether bash can parse the text completely. For a here-document without its end, bash only prints a warning, so a text with
 * a warning is not complete either.
 */
function isShell(text: string): boolean {
  const { status, stderr } = spawnSync("bash", ["-n"], { input: text });
  return status === 0 && stderr.length === 0;
}

function inline(prose: string[]): Printed[] {
  return [...prose.join("\n").matchAll(/(?<!`)`([^`]+)`(?!`)/g)].flatMap(({ 1: span = "", index }) => {
    const text = span.replace(/\s+/g, " ");
    return command.test(text) ? [{ kind: "inline" as const, text, line: lineOf(prose, index) }] : [];
  });
}

const lineOf = (lines: string[], index: number) => lines.join("\n").slice(0, index).split("\n").length;

/** Fenced blocks. Their text is not Markdown, so links and headings in them do not count. */
const fences = /^ *```.*?^ *```$/gms;

/** The page's links, except those to other sites. */
export const linksOf = (markdown: string): string[] =>
  [...markdown.replace(fences, "").matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = ""]) => link)
    .filter((link) => !/^[a-z]+:/.test(link));

/** The anchors of the page's headings, as GitHub makes them. */
export const anchorsOf = (markdown: string): string[] =>
  [...markdown.replace(fences, "").matchAll(/^#+ +(.*)$/gm)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .replace(/\s/g, "-"),
  );
