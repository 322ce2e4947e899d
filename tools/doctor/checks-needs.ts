/** Checks that compare what the config names with what the cluster has: nodes, classes, Secrets, kinds of objects, permissions. */
import type { Config } from "../../infra/config/config.ts";
import { takenNames } from "../../infra/platform/taken-names.ts";
import { type Check, failed, labelOf, ok, skipped, type Verdict } from "./check.ts";
import type { Facts } from "./facts.ts";
import { architectureOf, platformGround, sessionGrounds, storesGround } from "./grounds.ts";
import { issuersOf, secretsOf } from "./needs.ts";
import { type NodeFacts, obstacle } from "./nodes.ts";

export const access: Check = {
  name: "access",
  needs: "cluster",
  async run({ seen, tries }) {
    const remedy = "use a user with the role cluster-admin; `up` makes namespaces, Roles and APIServices";
    if (seen.unread.length > 0) return failed(`could not be read: ${seen.unread.join("; ")}`, remedy);
    const { refused } = await tries.facts();
    return refused.length > 0
      ? failed(`you may not ${refused.join(", ")}`, remedy)
      : ok("you may read what the doctor looks at, and create, change and delete what `up` makes");
  },
};

/** How many nodes have each obstacle: `2 nodes: does not have the label a=b`. */
function counted(obstacles: string[]): string {
  const counts = new Map<string, number>();
  for (const one of obstacles) counts.set(one, (counts.get(one) ?? 0) + 1);
  return [...counts].map(([why, count]) => `${count} ${count === 1 ? "node" : "nodes"}: ${why}`).join("; ");
}

export const nodes: Check = {
  name: "nodes",
  needs: "cluster",
  async run({ config, tries }) {
    const { nodes, addsNodes } = await tries.facts();
    const grounds = [platformGround(config), storesGround(config), ...sessionGrounds(config)];
    const without = grounds.filter(({ placement }) => !nodes.some((node) => obstacle(placement, node) === undefined));
    const [first] = without;
    if (first === undefined)
      return ok(
        sessionGrounds(config)
          .map(
            ({ of, placement }) => `${runnable(nodes, placement)} of ${nodes.length} nodes may run the pods of ${of}`,
          )
          .join("; "),
      );
    const why = counted(nodes.flatMap((node) => obstacle(first.placement, node) ?? []));
    const says = `no node may run the pods of ${first.of} (${why || "the cluster has no nodes"})`;
    if (addsNodes)
      return skipped(`${says}; the cluster's autoscaler may add one, and the checks below try whether it does`);
    const built = architectureOf(first.placement);
    const isArchitecture = !nodes.some(({ labels }) => labels["kubernetes.io/arch"] === built);
    return failed(
      says,
      isArchitecture
        ? `set \`platform: linux/${nodes[0]?.labels["kubernetes.io/arch"] ?? "…"}\`, or \`${first.key}.architecture\` if the images exist for it`
        : `correct \`${first.key}\`, or label the nodes, or tolerate their taints`,
    );
  },
};

const runnable = (nodes: NodeFacts[], placement: Parameters<typeof obstacle>[0]) =>
  nodes.filter((node) => obstacle(placement, node) === undefined).length;

export const names: Check = {
  name: "names",
  needs: "cluster",
  async run({ config, stack, tries }) {
    const taken = takenNames(config, await tries.facts(), labelOf(stack));
    return taken.length > 0
      ? failed(taken.join(" ").replace(/\.$/, ""), "change the config as this line says")
      : ok("no namespace or PriorityClass of others has a name that `up` needs");
  },
};

export const priorityClasses: Check = {
  name: "priority classes",
  needs: "cluster",
  async run({ config, tries }) {
    const { priorityClasses: there } = await tries.facts();
    const classes = Object.entries(config.priorityClasses);
    const made = classes.filter(([, { value }]) => value !== null).map(([, { name }]) => name);
    const named: [key: string, name: string][] = [
      ...classes
        .filter(([, { value }]) => value === null)
        .map(([key, { name }]): [string, string] => [`priorityClasses.${key}.name`, name]),
      ...config.tenants.flatMap(({ priorityClassName, remove }, index): [string, string][] =>
        priorityClassName === null || remove ? [] : [[`tenants[${index}].priorityClassName`, priorityClassName]],
      ),
    ];
    const missing = named.find(([, name]) => !made.includes(name) && !there.some((one) => one.name === name));
    if (missing)
      return failed(
        `the cluster has no PriorityClass ${missing[1]}, which \`${missing[0]}\` names`,
        "make the class, or correct the name",
      );
    return ok("each PriorityClass exists, or `up` makes it");
  },
};

export const secrets: Check = {
  name: "secrets",
  needs: "cluster",
  async run({ config, tries }) {
    const facts = await tries.facts();
    const needed = secretsOf(config);
    if (needed.length === 0) return ok("the config names no Secret");
    const exists = ({ namespace }: { namespace: string }) => facts.namespaces.some(({ name }) => name === namespace);
    const faults = needed.filter(exists).flatMap((secret) => secretFault(secret, facts));
    if (faults.length > 0)
      return failed(faults.join("; "), "make the Secrets, or correct the names (docs/secrets.md#use-your-own-secrets)");
    const waiting = needed.filter((secret) => !exists(secret));
    return waiting.length > 0
      ? skipped(
          `the namespaces don't exist yet in which the config names Secrets: ${waiting.map(({ namespace, name }) => `${namespace}/${name}`).join(", ")}. Make them before the \`up\` or while it waits (docs/secrets.md#use-your-own-secrets)`,
        )
      : ok("each Secret that the config names exists, with its keys");
  },
};

function secretFault(
  { namespace, name, keys, key }: ReturnType<typeof secretsOf>[number],
  { secrets }: Facts,
): string[] {
  const found = secrets.find((one) => one.namespace === namespace && one.name === name);
  if (found === undefined) return [`the Secret ${name} of \`${key}\` is missing in the namespace ${namespace}`];
  const missing = keys.filter((one) => !found.keys.includes(one));
  return missing.length > 0
    ? [`the Secret ${name} of \`${key}\` in the namespace ${namespace} has no ${missing.join(", ")}`]
    : [];
}

/** Where the definition of a kind comes from, by API group. */
const providers: Record<string, string> = {
  "cilium.io": "Cilium",
  "keda.sh": "KEDA",
  "gateway.networking.k8s.io": "the Gateway API's definitions",
  "traefik.io": "Traefik 3 with its definitions",
  "cert-manager.io": "cert-manager",
};

export const kinds: Check = {
  name: "custom APIs",
  needs: "cluster",
  async run({ tries }) {
    const { missingKinds } = await tries.facts();
    const [first] = missingKinds;
    if (first === undefined) return ok("the cluster has the kinds of all objects that `up` makes");
    return failed(
      missingKinds
        .map(
          ({ group, version, resource, key }) => `the cluster has no ${resource}.${group} ${version}, for \`${key}\``,
        )
        .join("; "),
      `install ${[...new Set(missingKinds.map(({ group }) => providers[group] ?? group))].join(" and ")}, or change the key`,
    );
  },
};

/** What is wrong with the issuers of the Ingress' certificates; undefined if nothing is. */
export function issuerFault(
  config: Pick<Config, "ingress" | "sandboxUrl" | "namespace">,
  clusterIssuers: string[] | null,
  issuers: string[],
): Verdict | undefined {
  for (const { kind, name, key } of issuersOf(config)) {
    const there = kind === "Issuer" ? issuers : (clusterIssuers ?? []);
    const where = kind === "Issuer" ? ` in the namespace ${config.namespace}` : "";
    if (!there.includes(name))
      return failed(`cert-manager has no ${kind} ${name}${where}`, `make it, or correct \`${key}\``);
  }
  return undefined;
}
