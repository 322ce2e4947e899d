import type { VolumeConfig } from "../config/scalars.ts";

/**
 * The spec of a claim for a volume that only one node at a time can mount. If `storageClass` is null, the cluster's default
 * StorageClass applies.
 */
export const volumeClaimSpec = ({ size, storageClass }: VolumeConfig) => ({
  accessModes: ["ReadWriteOnce"],
  resources: { requests: { storage: size } },
  ...(storageClass === null ? {} : { storageClassName: storageClass }),
});
