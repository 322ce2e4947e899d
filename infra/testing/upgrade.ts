/** Finds resources that an upgrade must not replace, because they hold data or serve requests during the upgrade. */

/** A resource of the previous version. An upgrade may change the resource, but not replace it. */
export interface Kept {
  urn: string;
  /** The values of the fields that can't change in place. Fields without a value are left out. */
  fixed: Record<string, unknown>;
}

/** A resource that a program makes. */
export interface Made {
  urn: string;
  /** The URNs under which the engine searches for the resource in the state of an older version. */
  formerUrns: string[];
  type: string;
  inputs: unknown;
}

const name = ["metadata.name", "metadata.namespace"];

/** Key: a resource type. Value: the fields whose change forces Pulumi to replace the resource. */
const fixedFields: Record<string, string[]> = {
  // A provider with another clusterIdentifier replaces all of its resources.
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

/** The resources that the next version must keep, sorted by URN. */
export const keptOf = (resources: Made[]): Kept[] =>
  resources
    .flatMap(({ urn, type, inputs }) => {
      const fields = fixedFields[type];
      return fields === undefined ? [] : [{ urn, fixed: pick(inputs, fields) }];
    })
    .sort((a, b) => (a.urn < b.urn ? -1 : 1));

/** One line for each kept resource that the new version would replace or delete. @param resources of the new version */
export function lost(kept: Kept[], resources: Made[]): string[] {
  return kept.flatMap(({ urn, fixed }) => {
    const now = resources.find((one) => one.urn === urn || one.formerUrns.includes(urn));
    if (now === undefined) return [`${urn} would be deleted; if the resource has a new name, add an alias`];
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
