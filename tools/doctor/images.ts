/** What the doctor says about images that nodes lack. Pure. */
import type { MissingImage } from "../../runtime/src/cluster/missingImages.ts";
import type { Progress } from "./poll.ts";

/** The wait ends when no image is missing. Until then, the text names each missing image with its nodes. */
export function imagesProgress(missing: MissingImage[]): Progress<void> {
  if (missing.length === 0) return { done: undefined };
  const nodesOf = (image: string) => new Set(missing.filter((one) => one.image === image).map(({ node }) => node));
  const images = [...new Set(missing.map(({ image }) => image))].sort();
  const because = images.map((image) => `${image} on ${[...nodesOf(image)].sort().join(", ")}`).join("; ");
  return { waitsFor: "nodes lack images", because };
}
