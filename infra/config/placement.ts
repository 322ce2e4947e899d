/** On which nodes the pods of the platform, of the stores and of sessions run. */
import type { V1Affinity, V1Toleration } from "@kubernetes/client-node";
import { z } from "zod";
import { affinity, labelMap, tolerations } from "./affinity.ts";

/** The labels by which every kubelet reports the operating system and the architecture of its node. */
const systemLabel = "kubernetes.io/os";
const architectureLabel = "kubernetes.io/arch";

const selector = labelMap.check(({ value, issues }) => {
  for (const [label, remedy] of [
    [architectureLabel, "set `architecture` instead"],
    [systemLabel, "remove it, because Berth's pods run on Linux only and have this label in their selector already"],
  ] as const)
    if (label in value)
      issues.push({
        code: "custom",
        input: value[label],
        path: [label],
        message: `is no choice of \`nodeSelector\`; ${remedy}`,
      });
});

/** @param otherwise for each key: the text that tells what applies if the key is null */
const group = (otherwise: Record<"nodeSelector" | "tolerations" | "affinity" | "architecture", string>) =>
  z.strictObject({
    nodeSelector: selector
      .nullable()
      .default(null)
      .describe(`Labels that a node must have. Null: ${otherwise.nodeSelector}.`),
    tolerations: tolerations
      .nullable()
      .default(null)
      .describe(`Taints of nodes that the pods tolerate, as in Kubernetes. Null: ${otherwise.tolerations}.`),
    affinity: affinity
      .nullable()
      .default(null)
      .describe(`nodeAffinity, podAffinity and podAntiAffinity, as in Kubernetes. Null: ${otherwise.affinity}.`),
    architecture: z
      .enum(["amd64", "arm64", "any"], { error: "is none of amd64, arm64, any" })
      .nullable()
      .default(null)
      .describe(
        `The nodes' architecture, for which the pods' images must exist; any: the pods run on every architecture. Null: ${otherwise.architecture}.`,
      ),
  });

const all = (otherwise: string) => ({
  nodeSelector: otherwise,
  tolerations: otherwise,
  affinity: otherwise,
  architecture: otherwise,
});

const nothing = {
  nodeSelector: "none",
  tolerations: "none",
  affinity: "none",
  architecture: "that of the key `platform`",
};

export const placement = z.strictObject({
  platform: group(nothing)
    .prefault({})
    .describe(
      "The nodes of API, gateway, worker, exporters, the adapter, Grafana, and the Jobs of the runtime's image.",
    ),
  stores: group(all("as in `placement.platform`"))
    .prefault({})
    .describe(
      "The nodes of Postgres, Redis, Prometheus, and the Jobs that dump and restore. Their volumes must be reachable from these nodes.",
    ),
  sessions: group(nothing)
    .prefault({})
    .describe("The nodes of sessions and of the image pullers, unless the tenant's entry has a `placement`."),
});

/** A tenant's own placement. Each key replaces the key of `placement.sessions`. */
export const tenantPlacement = group(all("as in `placement.sessions`"));

type Fields = z.output<typeof tenantPlacement>;

/** The fields of a pod's spec that select its nodes. */
export interface Placement {
  nodeSelector: Record<string, string>;
  tolerations: V1Toleration[];
  affinity: V1Affinity | null;
}

interface Placed {
  placement: z.output<typeof placement>;
  /** The operating system and architecture for which the images are built, for example linux/amd64. */
  platform: string;
}

/** Whether a tenant's sessions may run on other nodes than the sessions of other tenants. */
export const isPlaced = (own: Fields): boolean => Object.values(own).some((value) => value !== null);

/** The placement of the platform's pods, of the stores, and of sessions whose tenant's entry has no `placement`. */
export function placements({ placement: { platform, stores, sessions }, platform: built }: Placed) {
  return {
    platform: resolved(platform, built),
    stores: resolved(merged(platform, stores), built),
    sessions: resolved(sessions, built),
  };
}

/** The placement of a tenant's sessions. */
export const sessionPlacement = ({ placement, platform }: Placed, own: Fields): Placement =>
  resolved(merged(placement.sessions, own), platform);

const merged = (outer: Fields, inner: Fields): Fields => ({
  nodeSelector: inner.nodeSelector ?? outer.nodeSelector,
  tolerations: inner.tolerations ?? outer.tolerations,
  affinity: inner.affinity ?? outer.affinity,
  architecture: inner.architecture ?? outer.architecture,
});

function resolved({ nodeSelector, tolerations, affinity, architecture }: Fields, platform: string): Placement {
  const [system = "", built = ""] = platform.split("/");
  const required = architecture ?? built;
  return {
    nodeSelector: {
      ...nodeSelector,
      [systemLabel]: system,
      ...(required !== "any" && { [architectureLabel]: required }),
    },
    tolerations: tolerations ?? [],
    affinity,
  };
}
