/** The tags of the images that the stack builds. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { OwnImage } from "../config/images.ts";
import { contextDigest } from "./context.ts";

const root = join(import.meta.dirname, "../..");

/** Reads the checkout. Tests replace the method, so that not every change of a source changes the golden files. */
export const checkout = {
  /**
   * A digest of the image's Dockerfile and of all files that the build may read. The cost grows with the size of these files, and
   * with the number of files in the checkout, whose names are compared with the .dockerignore file.
   */
  digest: (image: OwnImage): string => contextDigest(root, join(root, "images", image, "Dockerfile")),
};

/** Everything but files that decides whether Pulumi's provider for Docker builds the image again. */
export interface BuildInputs {
  platform: string;
  network: string;
  args: Record<string, string>;
  /** The registry of the login for the push. Undefined: Docker's own login is used. */
  server: string | undefined;
}

/** A digest of everything from which the image is built, as 16 hexadecimal digits. The order of the arguments has no effect. */
export function contentOf(image: OwnImage, { args, ...rest }: BuildInputs): string {
  const sorted = Object.entries(args).sort(([a], [b]) => (a < b ? -1 : 1));
  const content = [checkout.digest(image), sorted, rest.platform, rest.network, rest.server ?? null];
  return createHash("sha256").update(JSON.stringify(content)).digest("hex").slice(0, 16);
}

/**
 * Returns the tag for the next build of the image: `<content>-<random>`. The tag changes exactly if the image is built again, and
 * no other build has the same tag. So a push never moves a tag: a registry with immutable tags accepts every push, and the image
 * of every earlier build keeps its tag.
 *
 * The digest of the content alone is no such tag. The same content may be built again: by another stack, after a revert, or after
 * the loss of the state. Without the builder's cache, the second build makes an image with other dates, and so with another
 * digest.
 */
export function tagOf(
  name: string,
  image: OwnImage,
  inputs: BuildInputs,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const content = contentOf(image, inputs);
  const { hex } = new random.RandomId(name, { byteLength: 4, keepers: { content } }, opts);
  return pulumi.interpolate`${content}-${hex}`;
}
