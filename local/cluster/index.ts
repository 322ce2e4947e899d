/**
 * The local cluster: Kubernetes on this machine, from its own programs. Everything may be called at any time, in any
 * state of the machine, and leaves alone what is as it should be.
 *
 * Order for a first start: buildPrograms, registryUp (base images can be pushed from here on), clusterUp.
 */
export { adapterBinary, buildPrograms, ensureAdapter, program, programsDir } from "./build.ts";
export { clusterDown, clusterPurge } from "./down.ts";
export { guardCounters } from "./guard.ts";
export { kubectl } from "./kubectl.ts";
export { clusterStatus, type PartStatus } from "./status.ts";
export { clusterUp, registryUp } from "./up.ts";
