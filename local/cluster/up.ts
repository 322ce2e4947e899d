/** Brings the cluster up, from whatever state it is in. */
import { Resolver } from "node:dns/promises";
import { mkdirSync } from "node:fs";
import { machine } from "../../machine/machine.ts";
import { waitFor } from "../lib/process.ts";
import { step } from "../lib/steps.ts";
import { addonsReady, applyAddons } from "./addons.ts";
import * as components from "./components.ts";
import { configFiles, files, registryConfig } from "./configs.ts";
import { type ClusterDaemon, ensure, pidOf } from "./daemons.ts";
import { clusterImage, pushClusterImages } from "./images.ts";
import { kubectl } from "./kubectl.ts";
import { volumesDir, writeIfChanged } from "./layout.ts";
import { ensureNode, runInNode } from "./node.ts";
import { ensureCertificates } from "./pki.ts";

const { dnsServiceIp, nodeIp, registry } = machine;

/**
 * Starts the node, and in it the registry, and waits until that serves on this machine's loopback; nothing but the Debian
 * packages need be there. Returns what it did.
 */
export async function registryUp(): Promise<string> {
  writeIfChanged(files.registry, registryConfig());
  return report([
    await ensureNode(),
    await ensure(components.forwards),
    await ensureReady(components.registryDaemon, registryServes),
  ]);
}

/** Starts whatever of the cluster isn't running and waits until pods can run. The programs must be built, the registry up. */
export async function clusterUp(): Promise<void> {
  await step("Cluster's control plane", controlPlaneUp);
  await step("Cluster's node", nodeUp);
  await step("Cluster's DNS and storage", addonsUp);
}

async function controlPlaneUp(): Promise<string> {
  await ensureCertificates();
  for (const [path, content] of Object.entries(configFiles(clusterImage("pause")))) writeIfChanged(path, content);
  return report([
    await ensure(components.etcd),
    await ensureReady(components.apiserver, () => kubectl(["get", "--raw", "/readyz"])),
    await ensure(components.controllerManager),
    await ensure(components.scheduler),
  ]);
}

/** The filters come before the kubelet, so that no pod runs without them. */
async function nodeUp(): Promise<string> {
  const pushed = await pushClusterImages();
  // any uid may write into a volume, so their directory is for root alone
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
    await ensure(components.kubelet); // it ends while containerd still looks through the containers of the last time
    return nodeReady(kubeletStarted ? since : 0);
  };
  await waitFor("The node", 60, isReady, { name: components.kubelet.name, runs: () => true });
  return report(started) + (pushed > 0 ? `, ${pushed} images pushed` : "");
}

async function addonsUp(): Promise<void> {
  await waitFor("The cluster's API for DNS and storage", 30, applyAddons);
  await waitFor("The cluster's DNS and storage", 120, () => addonsReady(10));
  // an answer is better than a status that may be from before a reboot
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([dnsServiceIp]);
  await waitFor("The cluster's DNS", 60, () => resolver.resolve4("kubernetes.default.svc.cluster.local"));
}

async function registryServes(): Promise<boolean> {
  return (await fetch(`http://${registry}/v2/`)).ok;
}

/** Whether the kubelet has reported the node ready since then, in milliseconds: after a reboot the old report is still there. */
async function nodeReady(since: number): Promise<boolean> {
  const ready = '{range .items[*].status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}';
  const [status, heartbeat] = (await kubectl(["get", "nodes", "-o", `jsonpath=${ready}`])).split(" ");
  const wholeSeconds = Math.floor(since / 1000) * 1000;
  return status === "True" && Date.parse(heartbeat ?? "") >= wholeSeconds;
}

async function ensureReady(daemon: ClusterDaemon, check: () => Promise<unknown>): Promise<boolean> {
  const started = await ensure(daemon);
  await waitFor(daemon.name, 60, check, watched(daemon));
  return started;
}

const watched = (daemon: ClusterDaemon) => ({ name: daemon.name, runs: () => pidOf(daemon) !== undefined });

const report = (started: boolean[]) => {
  const count = started.filter(Boolean).length;
  return count === 0 ? "running already" : `${count} of ${started.length} started`;
};
