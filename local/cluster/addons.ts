/** What the cluster has before any stack: the add-ons for DNS and storage, and the API server's rights on the kubelet. */
import { clusterImage } from "./images.ts";
import { kubectl } from "./kubectl.ts";
import { kubeletClientUser } from "./pki.ts";
import { fill, template } from "./templates.ts";

const manifests = ["kubelet-api", "coredns", "local-path"];

/** Returns the text of the manifests, with their values filled in. */
export function addonManifests(): string {
  const values = {
    corednsImage: clusterImage("coredns"),
    provisionerImage: clusterImage("local-path-provisioner"),
    volumeImage: clusterImage("volume"),
    kubeletClientUser,
  };
  return manifests.map((name) => fill(template(`manifests/${name}.yaml`), values)).join("---\n");
}

/**
 * Applies the manifests server-side, because client-side apply breaks a Service that has the same port number for TCP and UDP.
 */
export async function applyAddons(): Promise<void> {
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], addonManifests());
}

/** The Deployments of the add-ons. */
export const addons = [
  { name: "coredns", namespace: "kube-system" },
  { name: "local-path-provisioner", namespace: "local-path-storage" },
];

/** Waits until all pods of the add-ons are ready. Throws if one add-on needs more than `seconds`. */
export async function addonsReady(seconds: number): Promise<void> {
  for (const { name, namespace } of addons)
    await kubectl(["-n", namespace, "rollout", "status", `deployment/${name}`, `--timeout=${seconds}s`]);
}
