/** Values as Pulumi's protocol carries them: JSON, with envelopes around secrets and a sentinel for what a preview can't know. */

export type Props = Record<string, unknown>;

const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
/** Stands for a value that isn't known yet, of whatever type (of the protocol's seven sentinels this is the one in use). */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** An object, and no list. */
export const isObject = (value: unknown): value is Props =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isSecret = (value: unknown): value is { value: unknown } =>
  isObject(value) && value[signature] === secretSignature;

export const secret = (value: unknown): Props =>
  isSecret(value) ? (value as Props) : { [signature]: secretSignature, value };

/** A copy without the secrets' envelopes. */
export function plain<T = unknown>(value: unknown): T {
  const inside = (inner: unknown): unknown => {
    if (isSecret(inner)) return inside(inner.value);
    if (Array.isArray(inner)) return inner.map(inside);
    if (isObject(inner)) return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, inside(each)]));
    return inner;
  };
  return inside(value) as T;
}

/** Whether `found` is true of the value or of anything in it. */
const some = (value: unknown, found: (inner: unknown) => boolean): boolean =>
  found(value) ||
  (typeof value === "object" && value !== null && Object.values(value).some((each) => some(each, found)));

export const hasUnknown = (value: unknown): boolean => some(value, (inner) => inner === unknown);
export const hasSecret = (value: unknown): boolean => some(value, isSecret);

/** A copy of `value` in which everything is secret that is so at the same place in `like`. */
export function markedLike(value: unknown, like: unknown): unknown {
  if (isSecret(value)) return value;
  if (isObject(value) && isObject(like) && !isSecret(like))
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, key in like ? markedLike(each, like[key]) : each]),
    );
  return hasSecret(like) ? secret(value) : value;
}

/** Names of what differs between two sets of properties. */
export const changedKeys = (olds: Props, news: Props): string[] =>
  [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter((key) => !same(olds[key], news[key]));

/** Whether two JSON values are the same, whatever the order of their keys. */
export function same(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((each, i) => same(each, b[i]));
  if (isObject(a) && isObject(b)) return changedKeys(a, b).length === 0;
  return a === b;
}
