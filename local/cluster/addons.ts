/** What runs in the cluster before any stack: DNS, storage, and the rights of the apiserver on the kubelet. */
import { readFileSync } from "node:fs";
import { machine } from "../../machine/machine.ts";
import { clusterImage } from "./images.ts";
import { kubectl } from "./kubectl.ts";
import { volumesDir } from "./layout.ts";
import { kubeletClientUser } from "./pki.ts";

const { dnsServiceIp } = machine;

const manifests = ["kubelet-api", "coredns", "local-path"];

/** The manifests' text with their `${NAME}`s filled in. */
export function addonManifests(): string {
  const values = {
    COREDNS_IMAGE: clusterImage("coredns"),
    PROVISIONER_IMAGE: clusterImage("local-path-provisioner"),
    VOLUME_IMAGE: clusterImage("volume"),
    DNS_SERVICE_IP: dnsServiceIp,
    VOLUMES_DIR: volumesDir,
    KUBELET_CLIENT_USER: kubeletClientUser,
  };
  return manifests
    .map((name) => fill(readFileSync(new URL(`manifests/${name}.yaml`, import.meta.url), "utf8"), values))
    .join("---\n");
}

/** Replaces every `${NAME}` by its value. Throws for a name without one. */
export function fill(template: string, values: Record<string, string>): string {
  return template.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for \${${name}}`);
    return value;
  });
}

/** Server-side: client-side apply breaks a Service with one port number for TCP and UDP. */
export async function applyAddons(): Promise<void> {
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], addonManifests());
}

/** Throws if an add-on has not all its pods ready within `seconds`. */
export async function addonsReady(seconds: number): Promise<void> {
  for (const [namespace, name] of [
    ["kube-system", "coredns"],
    ["local-path-storage", "local-path-provisioner"],
  ] as const)
    await kubectl(["-n", namespace, "rollout", "status", `deployment/${name}`, `--timeout=${seconds}s`]);
}
