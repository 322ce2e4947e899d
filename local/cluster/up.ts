/** Starts the cluster, whatever its state is. Parts that run correctly are left alone. */
import { Resolver } from "node:dns/promises";
import { mkdirSync } from "node:fs";
import { machine } from "../../machine/machine.ts";
import { writeIfChanged } from "../lib/files.ts";
import { waitFor } from "../lib/process.ts";
import { step } from "../lib/steps.ts";
import { addonsReady, applyAddons } from "./addons.ts";
import * as components from "./components.ts";
import { configFile, configFiles } from "./configs.ts";
import { type ClusterDaemon, ensure } from "./daemons.ts";
import { pushClusterImages } from "./images.ts";
import { kubectl } from "./kubectl.ts";
import { etc, volumesDir } from "./layout.ts";
import { ensureNode, runInNode } from "./node.ts";
import { ensureCertificates } from "./pki.ts";

const { clusterDomain, dnsServiceIp, nodeIp, registry } = machine;

/**
 * Starts the node and the registry in the node, and waits until the registry answers on this machine's loopback. This step needs
 * only the Debian packages. Returns a text for the step's line.
 */
export async function registryUp(): Promise<string> {
  writeIfChanged(etc("registry.yaml"), configFile("registry.yaml"));
  return report([
    await ensureNode(),
    await ensure(components.forwards),
    await ensureReady(components.registryDaemon, async () => (await fetch(`http://${registry}/v2/`)).ok),
  ]);
}

/**
 * Starts the parts of the cluster that don't run, and waits until pods can run. The programs must exist, and the registry must
 * run.
 */
export async function clusterUp(): Promise<void> {
  await step("Cluster's control plane", controlPlaneUp);
  await step("Cluster's node", nodeUp);
  await step("Cluster's DNS and storage", addonsUp);
}

async function controlPlaneUp(): Promise<string> {
  await ensureCertificates();
  for (const [path, content] of Object.entries(configFiles())) writeIfChanged(path, content);
  return report([
    await ensure(components.etcd),
    await ensureReady(components.apiserver, () => kubectl(["get", "--raw", "/readyz"])),
    await ensure(components.controllerManager),
    await ensure(components.scheduler),
  ]);
}

/** Starts netpol before the kubelet, so that no pod runs without packet filters. */
async function nodeUp(): Promise<string> {
  const pushed = await pushClusterImages();
  // Any user may write into a volume, so only root may enter the directory of the volumes.
  mkdirSync(volumesDir, { recursive: true, mode: 0o700 });
  const since = Date.now();
  const started = [
    await ensure(components.containerd),
    await ensureReady(components.netpol, () => runInNode("nft", "list", "table", "ip", "berth_netpol")),
    await ensure(components.kubelet),
    await ensureReady(components.kubeProxy, async () => (await fetch(`http://${nodeIp}:10256/healthz`)).ok),
  ];
  const kubeletStarted = started[2] === true;
  const isReady = async () => {
    // While containerd still examines containers of the last run, the kubelet may end. Then the kubelet is started again.
    await ensure(components.kubelet);
    return nodeReady(kubeletStarted ? since : 0);
  };
  // If the API server was away for minutes, the kubelet has been seen to need 82 s.
  await waitFor("The node", 150, isReady, { ...components.kubelet, mayEnd: true });
  return report(started) + (pushed > 0 ? `, ${pushed} images pushed` : "");
}

async function addonsUp(): Promise<void> {
  await waitFor("The cluster's API for DNS and storage", 30, applyAddons);
  await waitFor("The cluster's DNS and storage", 120, () => addonsReady(10));
  // The pods' status may date from before a reboot, so the check asks the DNS server itself.
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([dnsServiceIp]);
  await waitFor("The cluster's DNS", 60, () => resolver.resolve4(`kubernetes.default.svc.${clusterDomain}`));
}

/**
 * Whether the kubelet has reported a ready node after the time `since` (in milliseconds). The check needs this time, because the
 * old report still exists after a reboot.
 */
async function nodeReady(since: number): Promise<boolean> {
  const ready = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}';
  const [status, heartbeat] = (await kubectl(["get", "nodes", "-o", `jsonpath=${ready}`])).split(" ");
  const wholeSeconds = Math.floor(since / 1000) * 1000;
  return status === "True" && Date.parse(heartbeat ?? "") >= wholeSeconds;
}

async function ensureReady(daemon: ClusterDaemon, check: () => Promise<unknown>): Promise<boolean> {
  const started = await ensure(daemon);
  await waitFor(daemon.name, 60, check, daemon);
  return started;
}

const report = (started: boolean[]) => {
  const count = started.filter(Boolean).length;
  return count === 0 ? "running already" : `${count} of ${started.length} started`;
};
