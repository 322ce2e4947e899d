/** Takes out of the log what would let somebody in: fields by their name, and values by their look wherever they stand. */

const censor = "[redacted]";

/** Fields whose value is nobody's business, at any depth, be it a text, a list or an object. */
const secretNames = new RegExp(
  `^(?:${[
    "authorization|proxy-authorization|cookie|set-cookie|x-api-key",
    "(?:[a-z_-]*[_-])?(?:ticket|token|tokens|password|secret|secrets|signature)",
    "[a-z]*(?:Ticket|Token|Password|Secret|Signature)",
    "key|keys|apiKey|tokenKey|env|stringData",
  ].join("|")})$`,
);

/** How deep is looked; what lies deeper isn't logged. */
const maxDepth = 6;

/** The fields of a log line, without secret ones. Errors and other instances are left to pino's serializers. */
export function withoutSecretFields(fields: Record<string, unknown>, depth = 0): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, secretNames.test(name) ? censor : inside(value, depth)]),
  );
}

function inside(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === maxDepth) return "[too deep]";
  if (Array.isArray(value)) return value.map((item) => inside(item, depth + 1));
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return withoutSecretFields(value as Record<string, unknown>, depth + 1);
}

/**
 * A secret's look, and what takes its place. Each one must need time in proportion to the line's length, because anybody can
 * have a line logged: no pattern may begin anew inside of what it has scanned before (redact.test.ts).
 */
const secretLooks: [RegExp, (found: string, kept: string) => string][] = [
  // API keys; whose they are may be told.
  [/\b(berth_[a-z0-9-]+_)[A-Za-z0-9_-]+/g, afterPrefix],
  // JWTs and JWEs: tickets, an identity provider's tokens, tasks. The pattern takes in the whole word that may hold one.
  [/[\w.-]{8,}/g, withoutToken],
  // A session's token.
  [/\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.)[\w-]{43}(?![\w-])/g, afterPrefix],
  [/\b((?:Bearer|Basic) +)[\w.~+/=-]+/gi, afterPrefix],
  // In addresses: parameters, and a password before the host.
  [/([?&#](?:ticket|token|key|access_token|code)=)[^&#\s"\\]*/gi, afterPrefix],
  [/(:\/\/[^\s:@/"\\]*:)[^\s@/"\\]+(?=@)/g, afterPrefix],
];

function afterPrefix(_: string, prefix: string): string {
  return prefix + censor;
}

/** The word without the token that begins in it: base64 of `{"`, with at least two dots behind it. */
function withoutToken(word: string): string {
  const start = word.search(/\beyJ/);
  const dots = start < 0 ? 0 : word.slice(start).split(".").length - 1;
  return dots >= 2 ? word.slice(0, start) + censor : word;
}

/** The finished line, or any other text, without what looks like a secret. */
export function redact(line: string): string {
  return secretLooks.reduce((text, [look, replace]) => text.replace(look, replace), line);
}
