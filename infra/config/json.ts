/**
 * Finds the position at which a text stops being JSON. `JSON.parse` does not always report the position, and its messages show
 * parts of the text, which may be secret.
 */

const blank = /[ \t\n\r]*/y;
const scalar =
  /"(?:[ !#-[\]-\uffff]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;

/** A position in a text. Both numbers begin with 1. */
export interface Position {
  line: number;
  column: number;
}

/**
 * Returns the line and the column of the first character that makes the text invalid JSON; undefined if the text is valid.
 */
export function jsonFault(text: string): Position | undefined {
  const end = value(text, 0);
  const at = end.ok ? skip(text, end.at) : end.at;
  if (end.ok && at === text.length) return undefined;
  const before = text.slice(0, at).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}

/** The position `at` is the end of a value if `ok` is true. Otherwise the text is wrong at this position. */
interface End {
  ok: boolean;
  at: number;
}

/** Where the expression's match that begins at `at` ends; `at` itself if there is no match. */
function match(expression: RegExp, text: string, at: number): number {
  expression.lastIndex = at;
  return expression.test(text) ? expression.lastIndex : at;
}

const skip = (text: string, at: number) => match(blank, text, at);

function value(text: string, from: number): End {
  const at = skip(text, from);
  if (text[at] === "[") return items(text, at, "]", value);
  if (text[at] === "{") return items(text, at, "}", member);
  const end = match(scalar, text, at);
  return { ok: end > at, at: end };
}

/** Reads a key and its value in an object. */
function member(text: string, from: number): End {
  const at = skip(text, from);
  const key: End = text[at] === '"' ? value(text, at) : { ok: false, at };
  if (!key.ok) return key;
  const colon = skip(text, key.at);
  return text[colon] === ":" ? value(text, colon + 1) : { ok: false, at: colon };
}

/**
 * Reads items with commas between them, from the bracket at `opening` to the bracket `closing`. Returns the index after the
 * closing bracket, or the index of the first fault.
 */
function items(text: string, opening: number, closing: string, item: typeof value): End {
  let at = skip(text, opening + 1);
  if (text[at] === closing) return { ok: true, at: at + 1 };
  for (;;) {
    const end = item(text, at);
    if (!end.ok) return end;
    at = skip(text, end.at);
    if (text[at] === closing) return { ok: true, at: at + 1 };
    if (text[at] !== ",") return { ok: false, at };
    at += 1;
  }
}
