/** A claim that one node mounts; without a class the cluster's default one. */
export const volumeClaimSpec = ({ size, storageClass }) => ({
    accessModes: ["ReadWriteOnce"],
    resources: { requests: { storage: size } },
    ...(storageClass === null ? {} : { storageClassName: storageClass }),
});
