interface Resources {
  requests: Record<string, string>;
  limits: Record<string, string>;
}

/**
 * The same with a bound on what the container writes outside of its volumes: /tmp and logs. The kubelet ends a pod
 * that writes more, before it fills the node's disk.
 * @param limit default 256 MiB
 */
export const withScratch = ({ requests, limits }: Resources, limit = "256Mi") => ({
  requests: { ...requests, "ephemeral-storage": "64Mi" },
  limits: { ...limits, "ephemeral-storage": limit },
});
