/**
 * Finds objects in the cluster that belong to another stack, or to no stack, but have a name that this stack's objects need.
 */
import type { Config } from "../config/config.ts";
import { tenantNamespace } from "../config/tenant.ts";
import type { Found, FoundObject } from "../kubernetes/cluster.ts";

export type Naming = Pick<Config, "namespace" | "tenantPrefix" | "tenants" | "priorityClasses" | "adoptExisting">;

interface Wanted {
  /** `Namespace` or `PriorityClass`. */
  kind: string;
  name: string;
  /** What the operator can do to give the stack's object another name. */
  remedy: string;
}

const secondStack = "docs/your-cluster.md#two-stacks-in-one-cluster";

/** The namespaces and PriorityClasses that the stack makes. */
function wantedBy(config: Naming): Wanted[] {
  const { platform, imagePullers, sessions } = config.priorityClasses;
  return [
    { kind: "Namespace", name: config.namespace, remedy: "set `namespace` to another name" },
    ...config.tenants.map((tenant) => ({
      kind: "Namespace",
      name: tenantNamespace(config, tenant),
      remedy: "set `tenantPrefix` to another beginning",
    })),
    ...Object.entries({ platform, imagePullers, sessions }).flatMap(([use, { name, value }]) =>
      value === null
        ? []
        : [
            {
              kind: "PriorityClass",
              name,
              remedy: `set \`priorityClasses.${use}.name\` to another name, or \`priorityClasses.${use}.value: null\` to use the class as it is`,
            },
          ],
    ),
  ];
}

/**
 * One line for each namespace and PriorityClass that the stack would make, and that exists and is not this stack's. The label
 * app.kubernetes.io/instance says whose it is. `adoptExisting` allows objects of no stack, but never objects of another stack.
 * @param stack the name of this Pulumi stack, without the organization
 */
export function takenNames(
  config: Naming,
  found: Pick<Found, "namespaces" | "priorityClasses">,
  stack: string,
): string[] {
  const there: Record<string, FoundObject[] | undefined> = {
    Namespace: found.namespaces,
    PriorityClass: found.priorityClasses,
  };
  return wantedBy(config).flatMap(({ kind, name, remedy }) => {
    const object = there[kind]?.find((one) => one.name === name);
    if (object === undefined || object.stack === stack) return [];
    if (object.stack !== null)
      return [
        `The ${kind} ${name} belongs to the Berth of the stack ${object.stack}: ${remedy} (${secondStack}). If ${object.stack} is the former name of this stack, run \`kubectl label ${kind.toLowerCase()} ${name} --overwrite app.kubernetes.io/instance=${stack}\`.`,
      ];
    if (config.adoptExisting) return [];
    return [
      `The ${kind} ${name} exists already, and does not belong to this stack: ${remedy}, or set \`adoptExisting: true\` to let the stack take over the ${kind}.`,
    ];
  });
}
