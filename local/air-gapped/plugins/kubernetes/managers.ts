/** Decides which manager owns which fields in server-side apply. */
import { isObject, type Props } from "../protocol/values.ts";

export interface ManagedFields extends Props {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: Props;
}

/**
 * Returns true if our server-side apply takes over the fields that this field manager owns now. Otherwise the API server would
 * report a conflict. True for kubectl, for the official plugin if it created the object (with the operation
 * Update), and for every other run of Pulumi that used another manager, for example a run that was killed before it wrote its
 * state.
 */
const isTaken = ({ manager = "", operation, subresource }: ManagedFields, fieldManager: string) =>
  !subresource &&
  (manager.startsWith("kubectl") ||
    (manager.startsWith("pulumi-kubernetes") && (operation === "Update" || manager !== fieldManager)));

/** The manager in the API server's text about a conflict. The server names a version only for the operation Update. */
const conflict = /^conflict with "(?<manager>.*?)"( with subresource "(?<subresource>.*)")?(?<version> using .*)?$/;

/**
 * Whether there are conflicts, and `isTaken` selects the managers of all of them. Pure.
 * @param conflicts for example `conflict with "kubectl-edit" using v1`
 */
export const areTaken = (conflicts: string[], fieldManager: string): boolean =>
  conflicts.length > 0 &&
  conflicts.every((text) => {
    const { manager = "", subresource = "", version } = conflict.exec(text)?.groups ?? {};
    return isTaken({ manager, subresource, operation: version ? "Update" : "Apply" }, fieldManager);
  });

/**
 * Returns the object's managers after `fieldManager` has taken over the fields that `isTaken` selects; undefined if there are no
 * such fields. Pure.
 */
export function takenOver(managed: ManagedFields[], fieldManager: string): ManagedFields[] | undefined {
  const taken = managed.filter((each) => isTaken(each, fieldManager));
  if (taken.length === 0) return undefined;
  const isOwn = ({ manager, operation }: ManagedFields) => manager === fieldManager && operation === "Apply";
  const own = managed.find(isOwn);
  const fieldsV1 = [own, ...taken].reduce((all: Props, each) => merged(all, each?.fieldsV1 ?? {}), {});
  const others = managed.filter((each) => !isTaken(each, fieldManager) && !isOwn(each));
  return [{ ...taken[0], ...own, manager: fieldManager, operation: "Apply", fieldsV1 }, ...others];
}

const merged = (a: Props, b: Props): Props =>
  Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((key) => {
      const [left, right] = [a[key], b[key]].map((each) => (isObject(each) ? each : {})) as [Props, Props];
      return [key, merged(left, right)];
    }),
  );
