import type { VolumeConfig } from "../config/scalars.ts";

/**
 * The spec of a volume claim that one node at a time can mount. Without a class, the cluster's default StorageClass applies.
 */
export const volumeClaimSpec = ({ size, storageClass }: VolumeConfig) => ({
  accessModes: ["ReadWriteOnce"],
  resources: { requests: { storage: size } },
  ...(storageClass === null ? {} : { storageClassName: storageClass }),
});
