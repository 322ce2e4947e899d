/** What the cluster has before any stack: the add-ons for DNS and storage, and the API server's rights on the kubelet. */
import { readFileSync } from "node:fs";
import { machine } from "../../machine/machine.ts";
import { clusterImage } from "./images.ts";
import { kubectl } from "./kubectl.ts";
import { volumesDir } from "./layout.ts";
import { kubeletClientUser } from "./pki.ts";

const { clusterDomain, dnsServiceIp } = machine;

const manifests = ["kubelet-api", "coredns", "local-path"];

/** Returns the text of the manifests, in which each `${NAME}` is replaced by its value. */
export function addonManifests(): string {
  const values = {
    COREDNS_IMAGE: clusterImage("coredns"),
    PROVISIONER_IMAGE: clusterImage("local-path-provisioner"),
    VOLUME_IMAGE: clusterImage("volume"),
    CLUSTER_DOMAIN: clusterDomain,
    DNS_SERVICE_IP: dnsServiceIp,
    VOLUMES_DIR: volumesDir,
    KUBELET_CLIENT_USER: kubeletClientUser,
  };
  return manifests
    .map((name) => fill(readFileSync(new URL(`manifests/${name}.yaml`, import.meta.url), "utf8"), values))
    .join("---\n");
}

/** Replaces every `${NAME}` with its value. Throws for a name without a value. */
export function fill(template: string, values: Record<string, string>): string {
  return template.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for \${${name}}`);
    return value;
  });
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
