import { containersOf } from "../kubernetes.ts";
/** Images are named by digest: a tag can be moved to code that nobody has seen. */
export function imageDigests(object) {
    return containersOf(object)
        .filter(({ image }) => !/@sha256:[0-9a-f]{64}$/.test(image ?? ""))
        .map(({ name, image }) => `container ${name}: ${image ?? "no image"} is not named by digest (name@sha256:…)`);
}
