/** Kubernetes objects as JSON. */
import type { Props } from "../protocol/values.ts";
import { isObject } from "../protocol/values.ts";

export interface KubeObject extends Props {
  apiVersion: string;
  kind: string;
  metadata: Metadata;
}

export interface Metadata extends Props {
  name?: string;
  namespace?: string;
  uid?: string;
  generation?: number;
  resourceVersion?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
}

/** The object's namespace. If the object names no namespace, this is `default`, as for the API server. */
export const namespaceOf = (object: Props): string => metadataOf(object).namespace ?? "default";

export const metadataOf = (object: Props): Metadata => (isObject(object.metadata) ? object.metadata : {}) as Metadata;

export const annotated = (object: Props, name: string): boolean =>
  metadataOf(object).annotations?.[`pulumi.com/${name}`] === "true";

/** The object's id in Pulumi: `berth/api`, or `berth` for an object in no namespace. */
export const idOf = (object: Props): string => {
  const { name = "", namespace } = metadataOf(object);
  return namespace ? `${namespace}/${name}` : name;
};

/** Splits an id: `berth/api` becomes the name `api` in the namespace `berth`. */
export const parseId = (id: string): Metadata => {
  const [name = "", namespace] = id.split("/").reverse();
  return { name, ...(namespace !== undefined && { namespace }) };
};

/**
 * Returns only those fields of a live object that its inputs have too, with the values in the cluster. Items of lists
 * are matched by their position.
 */
export function prune(live: unknown, inputs: unknown): unknown {
  if (isObject(live) && isObject(inputs))
    return Object.fromEntries(
      Object.keys(inputs).flatMap((key) => (key in live ? [[key, prune(live[key], inputs[key])]] : [])),
    );
  if (Array.isArray(live) && Array.isArray(inputs))
    return inputs.slice(0, live.length).map((input, index) => prune(live[index], input));
  return live;
}
