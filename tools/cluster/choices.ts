/** Choices about access, images, size and volumes, as keys of the stack's config. Everything here is pure. */
import { createHash } from "node:crypto";
import { distributionOf, isOnThisMachine, type Seen, type SeenBerth } from "./seen.ts";
import type { Choice, Wanted } from "./stack-file.ts";

/** Which cluster the stack belongs to, and where its images come from. */
export const accessKeys = (seen: Seen, wanted: Wanted): Choice[] => [
  {
    why: [
      "The cluster, by context and by the UID of its namespace kube-system: `up` refuses every other cluster, and the context may get another name.",
    ],
    keys: { context: wanted.context, clusterId: seen.id },
  },
  ...besideChoices(seen, wanted),
  registryChoice(seen, wanted),
  architectureChoice(seen),
];

/** The Berths of other stacks. */
const othersOf = ({ berths }: Pick<Seen, "berths">, stack: string) => berths.filter((berth) => berth.stack !== stack);

/** The beginning of the names of another Berth's tenant namespaces; if it has no tenant yet, the prefix that it usually has. */
const prefixOf = ({ namespace, tenantPrefix }: SeenBerth): string =>
  tenantPrefix ?? (namespace === "berth" ? "tenant-" : `${namespace}-`);

/**
 * The prefix of tenants' namespaces for the platform's namespace. With two hyphens at its end, no such prefix is the beginning
 * of another's, because the names that `namespaceFor` makes have no two hyphens in a row.
 */
const prefixFor = (namespace: string): string => `${namespace}--`;

/** The most characters of the platform's namespace, because a prefix may have 23. */
const longest = 21;

/**
 * The platform's namespace: that of the stack's own Berth; or `berth`; or, if the cluster has another Berth, a name made from
 * `berth-` and the stack's name. If that name is cut or changed, or if another Berth's names begin alike, the name has a hash
 * of the stack's name.
 */
export function namespaceFor(seen: Pick<Seen, "berths">, stack: string): string {
  const own = seen.berths.find((berth) => berth.stack === stack);
  if (own !== undefined) return own.namespace;
  const others = othersOf(seen, stack);
  if (others.length === 0) return "berth";
  const words = stack
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter(Boolean);
  const hash = createHash("sha256").update(stack).digest("hex").slice(0, 6);
  const plain = ["berth", ...words].join("-");
  const withHash = `${plain.slice(0, longest - hash.length - 1).replace(/-$/, "")}-${hash}`;
  const isTaken = (name: string) =>
    others.some((other) => {
      const [mine, theirs] = [prefixFor(name), prefixOf(other)];
      return name === other.namespace || mine.startsWith(theirs) || theirs.startsWith(mine);
    });
  const names = [...(plain === `berth-${stack}` && plain.length <= longest ? [plain] : []), withHash];
  return names.find((name) => !isTaken(name)) ?? `b-${hash}`;
}

/** The names of the stack's Berth if the cluster has other Berths, because two Berths can't have the same names. */
function besideChoices(seen: Seen, { stack }: Wanted): Choice[] {
  const others = othersOf(seen, stack);
  const own = seen.berths.find((berth) => berth.stack === stack);
  const namespace = namespaceFor(seen, stack);
  if (namespace === "berth") return [];
  const name = (pods: string) => ({ name: `${namespace}-${pods}` });
  return [
    {
      why: [
        own !== undefined
          ? `The cluster already has this stack's Berth in the namespace ${namespace}.`
          : `The cluster already has ${others.map(({ namespace, stack }) => `the Berth of the stack ${stack} in the namespace ${namespace}`).join(", and ")}. So this Berth gets its own names. See docs/your-cluster.md#two-stacks-in-one-cluster.`,
      ],
      keys: {
        namespace,
        tenantPrefix: own?.tenantPrefix ?? prefixFor(namespace),
        priorityClasses: {
          platform: name("platform"),
          imagePullers: name("image-puller"),
          sessions: name("sessions"),
        },
      },
    },
  ];
}

function registryChoice({ localRegistry }: Seen, { registry }: Wanted): Choice {
  if (registry !== undefined)
    return { why: ["Berth's images are pushed to this registry, and the nodes pull from it."], keys: { registry } };
  if (localRegistry !== null)
    return {
      why: [
        "The cluster names this registry on your machine for its images (ConfigMap kube-public/local-registry-hosting).",
      ],
      keys: { registry: `${localRegistry}/berth` },
    };
  return {
    why: [
      "To do: a registry to which your Docker can push and from which the nodes can pull. For a private registry, see docs/production.md#images.",
      "Or name finished images under `images`, and neither Docker nor a registry is needed: see docs/images.md#build-once-run-everywhere.",
    ],
    keys: { registry: "ghcr.io/you/berth" },
    example: true,
  };
}

function architectureChoice({ nodes }: Seen): Choice {
  const counts = Map.groupBy(nodes, ({ architecture }) => architecture);
  const [most] = [...counts].sort(([, a], [, b]) => b.length - a.length);
  const architecture = most?.[0] === "arm64" ? "arm64" : "amd64";
  const others = [...counts.keys()].filter((one) => one !== architecture);
  return {
    why: [
      `Images are built for ${architecture}, which is the architecture of ${counts.get(architecture)?.length ?? 0} of ${nodes.length} nodes.`,
      ...(others.length > 0
        ? [
            `Attention: there are also nodes with ${others.join(", ")}, on which these images don't start. Berth's pods are scheduled to the others only.`,
          ]
        : []),
    ],
    keys: { platform: `linux/${architecture}` },
  };
}

/** How many pods run, how much they request, and where their data are. */
export const platformKeys = (seen: Seen): Choice[] => [
  ...sizeChoices(seen),
  storageChoice(seen),
  ...(isOnThisMachine(distributionOf(seen))
    ? [
        {
          why: ["The cluster is on your machine, so the data may be deleted. Remove this key to protect them."],
          keys: { protectData: false },
        },
      ]
    : []),
];

/**
 * The smallest number of CPUs for the default requests. With fewer CPUs, the platform's pods leave too little room for
 * sessions.
 */
const enoughCpus = 8;

function sizeChoices({ nodes }: Seen): Choice[] {
  const cpus = Math.round(nodes.reduce((sum, node) => sum + node.cpus, 0));
  if (cpus >= enoughCpus && nodes.length >= 3)
    return [
      {
        why: [
          `The ${nodes.length} nodes have ${cpus} CPUs. They are enough for the defaults: at least three pods of the API and two workers. Separate gateway pods keep desktops connected when the API is rolled out.`,
        ],
        keys: { gateway: {} },
      },
    ];
  return [
    {
      why: [
        `The cluster is small (${nodes.length} ${nodes.length === 1 ? "node" : "nodes"}, ${cpus} CPUs), so there is one pod of each kind, and the pods request a fifth of what they usually request. Limits stay.`,
      ],
      keys: {
        requestScale: 0.2,
        api: { autoscaling: { min: 1, max: 3 }, readinessFailures: 10 },
        worker: { autoscaling: { min: 1, max: 4 } },
      },
    },
  ];
}

function storageChoice({ storageClasses }: Seen): Choice {
  const names = storageClasses.map(({ name, provisioner }) => `${name} of ${provisioner}`).join(", ");
  const usual = storageClasses.find(({ isDefault }) => isDefault);
  if (usual) return { why: [`All volumes use the default StorageClass, ${usual.name}. The cluster has: ${names}.`] };
  const [first, ...others] = storageClasses;
  if (first === undefined) return { why: ["To do: the cluster has no StorageClass, so no volume can be made."] };
  const keys = { storageClass: first.name };
  if (others.length > 0)
    return {
      why: [
        `To do: name the StorageClass of all volumes, because the cluster has no default one. The cluster has: ${names}. Choose a class of block storage, because the stores are databases.`,
      ],
      keys,
      example: true,
    };
  return {
    why: [`The cluster has no default StorageClass, so the stack names the only one, ${first.name}, for all volumes.`],
    keys,
  };
}

/** Who may start sessions. */
export function tenantKeys(seen: Seen): Choice[] {
  return [
    {
      why: [
        "The first tenant. `pulumi stack output tenantKeys --show-secrets` prints its key. See docs/onboarding.md.",
        ...(seen.runtimeClasses.length > 0
          ? [
              `The cluster has the RuntimeClasses ${seen.runtimeClasses.join(", ")}. \`runtimeClassName\` in a tenant's entry runs its sessions with one.`,
            ]
          : []),
      ],
      keys: { tenants: [{ name: "acme" }] },
    },
  ];
}
