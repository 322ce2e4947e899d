/**
 * The images of sessions' pods: the platform's desktop image, or one of the images in the tenant's config. Pure: no
 * I/O.
 */
import type { Tenant } from "./tenants.ts";
import type { Tier } from "./tiers.ts";

/** `copy`: an init container copies berthd into the volume. `image`: the volume is berthd's image. */
export type BerthdVolume = "copy" | "image";

/** The platform's images, each with its digest. */
export interface PodImages {
  /** The image of sessions that name no image. It has a desktop. */
  agent: string;
  /** Whether the image `agent` contains this version of berthd. If not, each pod with this image gets berthd in a volume. */
  agentHasBerthd: boolean;
  /** The image that contains only berthd. The sidecar runs this image, and the volume with berthd is made from this image. */
  berthd: string;
  /** The method that provides the volume with berthd: `copy` or `image` (see BerthdVolume). */
  berthdVolume: BerthdVolume;
}

/** An image that a session can have. */
export interface SessionImage {
  /** The name by which sessions request the image; null: the platform's image. */
  name: string | null;
  /** The image with its digest. */
  reference: string;
  /** Whether the image contains berthd. */
  hasBerthd: boolean;
  /** Whether sessions with this image have a desktop. */
  desktop: boolean;
  /** The command of sessions that name no command; null: no command. */
  command: string[] | null;
  /** Whether a running session can change the image's files in its own container. The image itself never changes. */
  writableRoot: boolean;
  /** How many warm sessions are kept ready with this image, by tier. */
  warmPools: Record<Tier, number>;
}

/** All images that the tenant's sessions can have. The platform's image is the first. */
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

/** The image of that name, or the platform's image for null; undefined: the tenant's config has no image of that name. */
export const findImage = (tenant: Tenant, images: PodImages, name: string | null): SessionImage | undefined =>
  imagesOf(tenant, images).find((image) => image.name === name);

/** The reason of a session that waits because the tenant's config does not have the session's image any more. */
export const waitsForImage = ({ name }: Tenant, image: string | null): string =>
  `Waiting for the image ${image}, which the config of ${name} does not have any more`;

/** The reason of `waitsForImage`; null if the config has the image. */
export const missingImage = (tenant: Tenant, image: string | null): string | null =>
  image === null || tenant.images.some(({ name }) => name === image) ? null : waitsForImage(tenant, image);
