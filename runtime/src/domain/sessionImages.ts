/** What sessions' pods run: the platform's desktop image, or one of those that the tenant's config names; pure. */
import type { Tenant } from "./tenants.ts";
import type { Tier } from "./tiers.ts";

/** The platform's images, by digest. */
export interface PodImages {
  /** The image of sessions that name none: a desktop. */
  agent: string;
  /** Whether berthd of this version is built into it; else berthd is copied into each of its pods, as into any other image's. */
  agentHasBerthd: boolean;
  /** berthd alone: for the sidecar, and to copy berthd from. */
  berthd: string;
}

/** An image that a session can have. */
export interface SessionImage {
  /** By which sessions ask for it; null: the platform's. */
  name: string | null;
  /** The image by digest. */
  reference: string;
  /** Whether berthd is built into it. */
  hasBerthd: boolean;
  /** Whether its sessions have a desktop. */
  desktop: boolean;
  /** What its sessions run unless they say otherwise; null: nothing. */
  command: string[] | null;
  /** Whether the image's own files can be changed while a session runs. */
  writableRoot: boolean;
  /** How many sessions with it are made ahead, by tier. */
  warmPools: Record<Tier, number>;
}

/** All images that the tenant's sessions can have, the platform's first. */
export function imagesOf(tenant: Tenant, { agent, agentHasBerthd }: PodImages): SessionImage[] {
  const platform: SessionImage = {
    name: null,
    reference: agent,
    hasBerthd: agentHasBerthd,
    desktop: true,
    command: null,
    writableRoot: false,
    warmPools: tenant.warmPools,
  };
  const own = tenant.images.map(({ image, ...rest }) => ({ ...rest, reference: image, hasBerthd: false }));
  return [platform, ...own];
}

/** The image of that name, null for the platform's; undefined: the tenant's config has none of that name. */
export const findImage = (tenant: Tenant, images: PodImages, name: string | null): SessionImage | undefined =>
  imagesOf(tenant, images).find((image) => image.name === name);

/** Why a session waits whose image the tenant's config has no more, for people. */
export const waitsForImage = ({ name }: Tenant, image: string | null): string =>
  `Waiting for the image ${image}, which the config of ${name} does not have any more`;

/** The same; null where the config has the image. */
export const missingImage = (tenant: Tenant, image: string | null): string | null =>
  image === null || tenant.images.some(({ name }) => name === image) ? null : waitsForImage(tenant, image);
