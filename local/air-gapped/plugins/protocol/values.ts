/**
 * Values as Pulumi's protocol carries them: JSON, with envelopes around secrets, and with a sentinel for each value that a
 * preview can't know.
 */
import { isDeepStrictEqual } from "node:util";

export type Props = Record<string, unknown>;

const signature = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
/** The sentinel for a value of any type that isn't known yet. The protocol has seven such sentinels; only this one is in use. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Whether the value is an object and no list. */
export const isObject = (value: unknown): value is Props =>
  typeof value === "object" && value !== null && !Array.isArray(value);

export const isSecret = (value: unknown): value is { value: unknown } =>
  isObject(value) && value[signature] === secretSignature;

export const secret = (value: unknown): Props =>
  isSecret(value) ? (value as Props) : { [signature]: secretSignature, value };

/** Returns a copy without the secrets' envelopes. */
export function plain<T = unknown>(value: unknown): T {
  const inside = (inner: unknown): unknown => {
    if (isSecret(inner)) return inside(inner.value);
    if (Array.isArray(inner)) return inner.map(inside);
    if (isObject(inner)) return Object.fromEntries(Object.entries(inner).map(([key, each]) => [key, inside(each)]));
    return inner;
  };
  return inside(value) as T;
}

/** Whether `found` returns true for the value or for any value inside it. */
const some = (value: unknown, found: (inner: unknown) => boolean): boolean =>
  found(value) ||
  (typeof value === "object" && value !== null && Object.values(value).some((each) => some(each, found)));

export const hasUnknown = (value: unknown): boolean => some(value, (inner) => inner === unknown);
export const hasSecret = (value: unknown): boolean => some(value, isSecret);

/**
 * Returns a copy of `value`. A value in the copy is secret if the value at the same place in `like` is secret. A list in the copy
 * is secret as a whole if the list in `like` contains a secret.
 */
export function withSecretsLike(value: unknown, like: unknown): unknown {
  if (isSecret(value)) return value;
  if (isObject(value) && isObject(like) && !isSecret(like))
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, key in like ? withSecretsLike(each, like[key]) : each]),
    );
  return hasSecret(like) ? secret(value) : value;
}

/** The names of the properties that differ between two sets. */
export const changedKeys = (olds: Props, news: Props): string[] =>
  [...new Set([...Object.keys(olds), ...Object.keys(news)])].filter((key) => !isDeepStrictEqual(olds[key], news[key]));
