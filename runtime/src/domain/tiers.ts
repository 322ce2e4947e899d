/** The sizes of sessions: the limits of the agent container. The requests are the same for all tiers. */
export const tiers = {
  small: { cpu: "1", memory: "2Gi" },
  medium: { cpu: "2", memory: "4Gi" },
  large: { cpu: "4", memory: "8Gi" },
} as const;

export type Tier = keyof typeof tiers;

export const tierNames = Object.keys(tiers) as [Tier, ...Tier[]];
