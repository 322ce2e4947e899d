/**
 * The images that a tenant's sessions may ask for, and the tenant's warm pools. A warm pool holds sessions that are started in
 * advance.
 */
import { z } from "zod";
import { count, imageByDigest, name, subdomain } from "./scalars.ts";
import { uniqueNames } from "./unique-names.ts";

export const warmPools = z.strictObject({
  small: count.default(0).describe("The number of warm sessions of the tier small."),
  medium: count.default(0).describe("The number of warm sessions of the tier medium."),
  large: count.default(0).describe("The number of warm sessions of the tier large."),
});

export type WarmPoolsConfig = z.output<typeof warmPools>;

/** The number of warm sessions of all tiers together. */
export const sizeOf = ({ small, medium, large }: WarmPoolsConfig): number => small + medium + large;

const image = z.strictObject({
  name: name.describe("The name by which a session asks for the image: `image` of `POST /v1/sessions`."),
  image: imageByDigest.describe(
    "The image by digest. The image needs no part of Berth in it; see docs/session-images.md.",
  ),
  desktop: z
    .boolean()
    .default(false)
    .describe(
      "Whether sessions with this image have a desktop. If true, the image must contain the programs of Berth's desktop.",
    ),
  command: z
    .array(z.string())
    .min(1, { error: "is empty; name the program, or leave the key out" })
    .nullable()
    .default(null)
    .describe(
      "The program and arguments for sessions that set no `command`. Null: such sessions run no program. Berth never starts the image's entry point unless you name it here.",
    ),
  writableRoot: z
    .boolean()
    .default(false)
    .describe(
      "Whether sessions may change the image's own files, as far as uid 10001 has permission. The changes are lost when the pod ends. False: only /tmp, /dev/shm and the workspace are writable.",
    ),
  pullSecret: subdomain
    .nullable()
    .default(null)
    .describe(
      "The name of your own pull secret (kubernetes.io/dockerconfigjson) for this image, in the tenant's namespace. The pods also use the pull secrets of `registryLogins` and `imagePullSecrets`. Null: the image needs no other pull secret.",
    ),
  warmPools: warmPools.prefault({}).describe("Warm pools of sessions with this image."),
});

/** A tenant's images. Two images can't have the same name. */
export const tenantImages = z.array(image).check(uniqueNames());
