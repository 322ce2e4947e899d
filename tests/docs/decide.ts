/** Finds, for each command of a page, the entry in the table `pages` (pages.ts). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../machine/machine.ts";
import { type Printed, printed } from "./markdown.ts";
import { mentions, type NotRun, type Page, type Paste, pages, type Run } from "./pages.ts";

export interface Decided extends Printed {
  /** The key in the page's table. */
  key: string;
  step: Run | Paste | NotRun;
}

export interface Decision {
  decided: Decided[];
  /** Commands on the page that have no entry in the table, and that `mentions` does not have either. */
  undecided: Printed[];
  /** Entries in the table without a command on the page. */
  unused: string[];
}

/** @param name the page's path in the repository, for example docs/api.md */
export const decide = (name: string): Decision =>
  decideOn(readFileSync(join(root, name), "utf8"), pages[name] ?? { shell: "plain", commands: {} });

export function decideOn(markdown: string, { commands }: Page): Decision {
  const all = printed(markdown).map((one) => ({ one, key: keyOf(one, Object.keys(commands)) }));
  const decided = all.flatMap(({ one, key }) => {
    const step = key !== undefined && commands[key];
    return step ? [{ ...one, key, step }] : [];
  });
  const used = new Set(decided.map(({ key }) => key));
  return {
    decided,
    undecided: all.filter(({ one, key }) => key === undefined && !isMention(one)).map(({ one }) => one),
    unused: Object.keys(commands).filter((key) => !used.has(key)),
  };
}

const isMention = ({ kind, text }: Printed) => kind === "inline" && text.replace(/ -- .*/, "") in mentions;

/** Returns the longest key with which the text begins. Spaces and line breaks count as one space. */
function keyOf({ text }: Printed, keys: string[]): string | undefined {
  const normal = text.trim().replace(/\s+/g, " ");
  return keys.filter((key) => normal.startsWith(key)).sort((a, b) => b.length - a.length)[0];
}
