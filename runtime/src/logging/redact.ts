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

const secretLooks: [RegExp, string][] = [
  // API keys; whose they are may be told.
  [/\b(berth_[a-z0-9-]+_)[A-Za-z0-9_-]+/g, `$1${censor}`],
  // JWTs and JWEs: tickets, an identity provider's tokens, tasks.
  [/\beyJ[\w-]{5,}(?:\.[\w-]*){2,4}/g, censor],
  // A session's token.
  [/\b([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.)[\w-]{43}(?![\w-])/g, `$1${censor}`],
  [/\b((?:Bearer|Basic) +)[\w.~+/=-]+/gi, `$1${censor}`],
  // In addresses: parameters, and a password before the host.
  [/([?&#](?:ticket|token|key|access_token|code)=)[^&#\s"\\]*/gi, `$1${censor}`],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:@/"\\]*:)[^\s@/"\\]+@/gi, `$1${censor}@`],
];

/** The finished line, or any other text, without what looks like a secret. */
export function redact(line: string): string {
  return secretLooks.reduce((text, [look, replacement]) => text.replace(look, replacement), line);
}
