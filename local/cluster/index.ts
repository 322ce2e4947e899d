/**
 * The local cluster: Kubernetes on this machine, from its own programs. Everything may be called at any time, in any
 * state of the machine, and leaves alone what is as it should be.
 *
 * Order for a first start: ensurePrograms, registryUp (base images can be pushed from here on), clusterUp.
 */
export { ensurePrograms } from "./build.ts";
export { clusterDown, clusterPurge } from "./down.ts";
export { kubectl } from "./kubectl.ts";
export { claimStateDir, refuseEarlierVersion } from "./state.ts";
export { clusterStatus } from "./status.ts";
export { clusterUp, registryUp } from "./up.ts";
