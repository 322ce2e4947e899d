/**
 * The oldest supported Kubernetes. The stack needs `sleep` hooks of containers, which are on by default since this version.
 * docs/production.md and docs/your-cluster.md name the version too, and a test compares them.
 */
export const oldestKubernetes = "1.30";

/**
 * Whether a Kubernetes version is older than the oldest supported one. Returns false if the format of the version is unknown.
 * @param version for example v1.29.4-gke.200
 */
export function isTooOld(version: string): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined || minor === undefined) return false;
  const [oldestMajor = 0, oldestMinor = 0] = oldestKubernetes.split(".").map(Number);
  return Number(major) < oldestMajor || (Number(major) === oldestMajor && Number(minor) < oldestMinor);
}
