/** The images that a tenant's sessions may ask for, and how many sessions are made ahead. */
import { z } from "zod";
import { count, imageByDigest, name } from "./scalars.ts";

export const warmPools = z.strictObject({
  small: count.default(0).describe("Sessions of the tier small."),
  medium: count.default(0).describe("Sessions of the tier medium."),
  large: count.default(0).describe("Sessions of the tier large."),
});

export type WarmPoolsConfig = z.output<typeof warmPools>;

/** How many sessions the pools have in all. */
export const sizeOf = ({ small, medium, large }: WarmPoolsConfig): number => small + medium + large;

const image = z.strictObject({
  name: name.describe("By which a session asks for it: `image` of `POST /v1/sessions`."),
  image: imageByDigest.describe("The image by digest. It needs nothing of Berth's in it; see docs/images.md."),
  desktop: z
    .boolean()
    .default(false)
    .describe("Whether its sessions have a desktop; the image must have the programs of Berth's desktop then."),
  command: z
    .array(z.string())
    .min(1, { error: "is empty; name the program, or leave the key out" })
    .nullable()
    .default(null)
    .describe(
      "Program and arguments of sessions that bring no `command`; null for none. The image's own entry point never runs by itself: name it here to have it run.",
    ),
  writableRoot: z
    .boolean()
    .default(false)
    .describe(
      "Whether the image's own files can be changed, as far as uid 10001 may; the changes go with the pod. false: only /tmp, /dev/shm and the workspace can.",
    ),
  pullSecret: name
    .nullable()
    .default(null)
    .describe(
      "Name of a Secret (kubernetes.io/dockerconfigjson) of your own in the tenant's namespace by which the image is pulled, beside the stack's own; null for none.",
    ),
  warmPools: warmPools.prefault({}).describe("Sessions with this image that are made ahead."),
});

/** No name twice. */
export const tenantImages = z.array(image).check((check) => {
  const names = check.value.map((one) => one?.name);
  names.forEach((one, index) => {
    const first = names.indexOf(one);
    if (one === undefined || first === index) return;
    const message = `is the name of the list's [${first}] already`;
    check.issues.push({ code: "custom", input: one, path: [index, "name"], message });
  });
});
