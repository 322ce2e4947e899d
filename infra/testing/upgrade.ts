/** What an upgrade must find again: whatever of the version before holds data, or serves while the upgrade runs. */

/** A resource of the version before that an upgrade may change but not replace. */
export interface Kept {
  urn: string;
  /** Its fields that can't change in place, as the version has them. A field that it has not is left out. */
  fixed: Record<string, unknown>;
}

/** A resource as a program makes it. */
export interface Made {
  urn: string;
  /** The URNs under which the engine looks for it in a state that an older version has written. */
  formerUrns: string[];
  type: string;
  inputs: unknown;
}

const name = ["metadata.name", "metadata.namespace"];

/** By type: the fields whose change replaces the resource. */
const fixedFields: Record<string, string[]> = {
  // One of another cluster has all that it made replaced.
  "pulumi:providers:kubernetes": ["clusterIdentifier"],
  "random:index/randomPassword:RandomPassword": ["length", "special", "keepers", "overrideSpecial"],
  "kubernetes:core/v1:Namespace": name,
  "kubernetes:core/v1:PersistentVolumeClaim": [
    ...name,
    "spec.accessModes",
    "spec.storageClassName",
    "spec.volumeMode",
    "spec.volumeName",
  ],
  "kubernetes:core/v1:Service": [...name, "spec.clusterIP"],
  "kubernetes:apps/v1:StatefulSet": [
    ...name,
    "spec.selector",
    "spec.serviceName",
    "spec.podManagementPolicy",
    "spec.volumeClaimTemplates",
  ],
  "kubernetes:apps/v1:Deployment": [...name, "spec.selector"],
};

/** Those of the resources that the next version has to keep, sorted by URN. */
export const keptOf = (resources: Made[]): Kept[] =>
  resources
    .flatMap(({ urn, type, inputs }) => {
      const fields = fixedFields[type];
      return fields === undefined ? [] : [{ urn, fixed: pick(inputs, fields) }];
    })
    .sort((a, b) => (a.urn < b.urn ? -1 : 1));

/** One line for each resource that an upgrade to the program that makes `resources` would replace or delete. */
export function lost(kept: Kept[], resources: Made[]): string[] {
  return kept.flatMap(({ urn, fixed }) => {
    const now = resources.find((one) => one.urn === urn || one.formerUrns.includes(urn));
    if (now === undefined) return [`${urn} would be deleted: where it has another name now, give it an alias`];
    const fields = pick(now.inputs, fixedFields[now.type] ?? []);
    return [...new Set([...Object.keys(fixed), ...Object.keys(fields)])]
      .filter((field) => JSON.stringify(fixed[field]) !== JSON.stringify(fields[field]))
      .map((field) => `${urn} would be replaced, because ${field} has changed`);
  });
}

/** The values at the paths, such as `spec.selector`. */
function pick(inputs: unknown, paths: string[]): Record<string, unknown> {
  const at = (path: string) =>
    path.split(".").reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], inputs);
  return Object.fromEntries(paths.map((path) => [path, at(path)]).filter(([, value]) => value !== undefined));
}
