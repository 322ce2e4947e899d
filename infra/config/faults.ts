/** Error messages for an invalid config: one line for each fault, with the path, the value and the rule. */
import type { z } from "zod";

/** The lines for one issue of the schema, for example `tenants[2].quota.limitsMemory: "40GB" is not …`. */
export function faultsOf(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const { path } = issue;
  if (issue.code === "invalid_union") {
    // If the schema allows several types, the message is about the type that the value has.
    const meant = issue.errors.find((faults) => !faults.some(isOfAnotherKind));
    if (meant) return meant.flatMap((fault) => faultsOf({ ...fault, path: [...path, ...fault.path] }, raw));
  }
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => `${pathText([...path, key])}: is not a key that Berth knows; check its spelling`);
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], raw);
  // A rule about several keys may report a key that the config does not set, because the key has a default.
  if (value === undefined) return [`${pathText(path)}: ${issue.code === "custom" ? issue.message : "is missing"}`];
  if (issue.code === "custom" && issue.params?.secret) return [`${pathText(path)}: ${issue.message}`];
  const rule =
    issue.code === "invalid_type" && issue.message.startsWith("Invalid input")
      ? `is not ${a(issue.expected)}`
      : issue.message;
  return [`${pathText(path)}: ${shown(value)} ${rule}`];
}

const isOfAnotherKind = ({ path, code }: z.core.$ZodIssue) =>
  path.length === 0 && (code === "invalid_type" || code === "invalid_value");

/** The value as a message shows it. The content of groups and lists is left out, because they may contain secrets. */
const shown = (value: unknown) =>
  typeof value !== "object" || value === null ? JSON.stringify(value) : Array.isArray(value) ? "[…]" : "{…}";

const a = (type: string) => (/^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`);

const pathText = (path: PropertyKey[]) =>
  path.map((key, index) => (typeof key === "number" ? `[${key}]` : `${index > 0 ? "." : ""}${String(key)}`)).join("");
