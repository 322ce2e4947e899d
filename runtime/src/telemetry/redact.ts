/** Removes secrets from the log: fields with certain names, and values that look like a secret anywhere in a line. */

const censor = "[redacted]";

/** Fields whose value is removed at any depth, whether the value is a text, a list or an object. */
const secretNames = new RegExp(
  `^(?:${[
    "authorization|proxy-authorization|cookie|set-cookie|x-api-key",
    "(?:[a-z_-]*[_-])?(?:ticket|token|tokens|password|secret|secrets|signature)",
    "[a-z]*(?:Ticket|Token|Password|Secret|Signature)",
    "key|keys|apiKey|tokenKey|env|stringData",
  ].join("|")})$`,
);

/** How many levels of a field are searched; deeper levels are not logged. */
const maxDepth = 6;

/**
 * The fields of a log line without secrets. This function does not look inside errors and other class instances: pino writes them
 * (the field `err` by `describeError`), and then `redact` removes from the whole line what looks like a secret.
 */
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
 * Patterns of secrets, and their replacements. Each pattern must take time proportional to the line's length, because
 * anybody can cause a log line: no pattern may start again inside text that it has scanned before (redact.test.ts).
 */
const secretPatterns: [RegExp, (found: string, kept: string) => string][] = [
  // API keys. The prefix of a key names its owner (a tenant or `admin`) and may be logged.
  [/\b(berth_[a-z0-9-]+_)[A-Za-z0-9_-]+/g, afterPrefix],
  // JWTs and JWEs: tickets, tokens of an identity provider, tasks. The pattern matches the whole word that may
  // contain such a token.
  [/[\w.-]{8,}/g, withoutToken],
  // The token of a session.
  [/\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.)[\w-]{43}(?![\w-])/g, afterPrefix],
  [/\b((?:Bearer|Basic) +)[\w.~+/=-]+/gi, afterPrefix],
  // In URLs: query parameters, and a password before the host.
  [/([?&#](?:ticket|token|key|access_token|code)=)[^&#\s"\\]*/gi, afterPrefix],
  [/(:\/\/[^\s:@/"\\]*:)[^\s@/"\\]+(?=@)/g, afterPrefix],
];

function afterPrefix(_: string, prefix: string): string {
  return prefix + censor;
}

/**
 * Replaces the end of the word from where a token starts in it. A token starts with `eyJ` (base64 of `{"` and a letter),
 * and at least two dots come after that.
 */
function withoutToken(word: string): string {
  const start = word.search(/\beyJ/);
  const dots = start < 0 ? 0 : word.slice(start).split(".").length - 1;
  return dots >= 2 ? word.slice(0, start) + censor : word;
}

/** Removes everything that looks like a secret from a finished line or any other text. */
export function redact(line: string): string {
  return secretPatterns.reduce((text, [pattern, replace]) => text.replace(pattern, replace), line);
}
