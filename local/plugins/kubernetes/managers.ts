/** Which fields belong to whom, in server-side apply. */
import { isObject, type Props } from "../protocol/values.ts";

export interface ManagedFields extends Props {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: Props;
}

/**
 * The official plugin creates objects as this manager, not by apply; what it then has, an apply by another would conflict
 * with.
 */
const creator = "pulumi-kubernetes";

/**
 * The managers of an object after its creator's fields have gone to `fieldManager`, as the official plugin does it; undefined
 * where they have. Pure.
 */
export function takenOver(managed: ManagedFields[], fieldManager: string): ManagedFields[] | undefined {
  const isCreator = ({ manager, operation, subresource }: ManagedFields) =>
    manager === creator && operation === "Update" && !subresource;
  const created = managed.find(isCreator);
  if (created === undefined) return undefined;
  const isOwn = ({ manager, operation }: ManagedFields) => manager === fieldManager && operation === "Apply";
  const own = managed.find(isOwn);
  const fieldsV1 = merged(own?.fieldsV1 ?? {}, created.fieldsV1 ?? {});
  const others = managed.filter((each) => !isCreator(each) && !isOwn(each));
  return [{ ...created, ...own, manager: fieldManager, operation: "Apply", fieldsV1 }, ...others];
}

const merged = (a: Props, b: Props): Props =>
  Object.fromEntries(
    [...new Set([...Object.keys(a), ...Object.keys(b)])].map((key) => {
      const [left, right] = [a[key], b[key]].map((each) => (isObject(each) ? each : {})) as [Props, Props];
      return [key, merged(left, right)];
    }),
  );
