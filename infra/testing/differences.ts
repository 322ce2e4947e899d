/** The differences between two stacks, as the golden files of the cloud examples have them. */
import { isDeepStrictEqual } from "node:util";
import type { RecordedResource } from "./record.ts";

/**
 * The differences between the resources of two stacks, by `<type> <name>` of the resource. A resource of both stacks has the
 * new value of each field that differs, by the field's path, for example `inputs.spec.ports.0.port`. The value null means that
 * only the base has the field or the resource.
 */
export type Differences = Record<string, RecordedResource | Record<string, unknown> | null>;

/** @returns what differs in `stack` from `base` */
export function differences(base: RecordedResource[], stack: RecordedResource[]): Differences {
  const [before, after] = [base, stack].map(
    (resources) => new Map(resources.map((resource) => [`${resource.type} ${resource.name}`, resource])),
  ) as [Map<string, RecordedResource>, Map<string, RecordedResource>];
  const result: Differences = {};
  for (const key of [...new Set([...before.keys(), ...after.keys()])].sort()) {
    const [was, is] = [before.get(key), after.get(key)];
    if (was === undefined || is === undefined) result[key] = is ?? null;
    else if (!isDeepStrictEqual(was, is)) result[key] = Object.fromEntries(fields([], was, is));
  }
  return result;
}

/** The fields that differ, each with its path and its new value. A list whose length differs is one field. */
function fields(path: string[], was: unknown, is: unknown): [string, unknown][] {
  if (isDeepStrictEqual(was, is)) return [];
  if (!isGroup(was) || !isGroup(is) || !alike(was, is)) return [[path.join("."), is ?? null]];
  const names = [...new Set([...Object.keys(was), ...Object.keys(is)])].sort();
  return names.flatMap((name) => fields([...path, name], was[name], is[name]));
}

const isGroup = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** Whether both are objects, or both are lists of the same length. */
const alike = (was: object, is: object) =>
  Array.isArray(was) ? Array.isArray(is) && was.length === is.length : !Array.isArray(is);
