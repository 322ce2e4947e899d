import { containersOf, type KubernetesObject } from "../kubernetes.ts";
import type { Faults } from "../rule.ts";

/** Images are referenced by digest, because a tag can be moved to code that nobody has reviewed. */
export function imageDigests(object: KubernetesObject): Faults {
  return containersOf(object)
    .filter(({ image }) => !/@sha256:[0-9a-f]{64}$/.test(image ?? ""))
    .map(({ name, image }) => `container ${name}: ${image ?? "no image"} is not referenced by digest (name@sha256:…)`);
}
