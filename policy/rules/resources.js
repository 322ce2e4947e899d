import { containersOf } from "../kubernetes.ts";
/** Containers say what they need and what they may use at most, so that none takes the others' share. */
export function resources(object) {
    return containersOf(object).flatMap((container) => ["requests", "limits"].flatMap((kind) => ["cpu", "memory"]
        .filter((resource) => container.resources?.[kind]?.[resource] === undefined)
        .map((resource) => `container ${container.name}: set resources.${kind}.${resource}`)));
}
