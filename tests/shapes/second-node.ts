/**
 * A second node of the local cluster: a kubelet with a separate containerd, in the same Linux namespaces as the first node. The
 * two nodes share the network, so pods of both nodes get their addresses from the same range, and one kube-proxy and one netpol
 * serve both nodes. The control groups of the second node's pods are below a separate control group, because a kubelet ends pods
 * that it does not know.
 */
import { parse, stringify } from "yaml";
import { kubelet } from "../../local/cluster/components.ts";
import { configFile } from "../../local/cluster/configs.ts";
import { type ClusterDaemon, ensure } from "../../local/cluster/daemons.ts";
import {
  containerdDir,
  containerdRunDir,
  containerdSocket,
  etc,
  kubeletDir,
  pki,
  podLogsDir,
} from "../../local/cluster/layout.ts";
import { runInNode } from "../../local/cluster/node.ts";
import { ensureCertificate } from "../../local/cluster/pki.ts";
import { kubectlWait } from "../../local/cluster/testing.ts";
import { inCgroup } from "../../local/lib/cgroups.ts";
import { writeIfChanged } from "../../local/lib/files.ts";
import { machine } from "../../machine/machine.ts";

export const name = "berth-2";
/** An address in the cluster's network that the local cluster does not use. */
export const address = machine.nodeIp.replace(/\.1$/, ".3");

const second = (path: string) => `${path}-2`;
const files = { containerd: etc("containerd-2.toml"), kubelet: etc("kubelet-2.yaml") };

const containerd: ClusterDaemon = {
  name: "containerd-2",
  command: "containerd",
  args: ["--config", files.containerd],
  files: [files.containerd],
};

/** The kubelet uses the admin's credentials. @param label the node's only label that Kubernetes does not set */
const secondKubelet = (label: string): ClusterDaemon => ({
  ...kubelet,
  name: "kubelet-2",
  args: [
    `--config=${files.kubelet}`,
    `--kubeconfig=${machine.kubeconfig}`,
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
    `--node-labels=${label}`,
    `--root-dir=${second(kubeletDir)}`,
    `--cert-dir=${second(kubeletDir)}/pki`,
  ],
  files: [files.kubelet],
});

export interface Taint {
  key: string;
  value: string;
  effect: "NoSchedule";
}

/** Starts the second node, with the taint and with a label of the same key and value, and waits until the node is ready. */
export async function startSecondNode(taint: Taint): Promise<void> {
  await runInNode("ip", "address", "replace", `${address}/32`, "dev", "lo");
  await runInNode(...inCgroup("second", ["true"]));
  await ensureCertificate({
    name: "kubelet-2",
    ca: "ca",
    subject: `/O=system:nodes/CN=system:node:${name}`,
    usage: "serverAuth",
    names: [`DNS:${name}`, `IP:${address}`],
  });
  writeIfChanged(
    files.containerd,
    configFile("containerd.toml")
      .replaceAll(containerdDir, second(containerdDir))
      .replaceAll(containerdRunDir, second(containerdRunDir)),
  );
  const config = {
    ...parse(configFile("kubelet.yaml")),
    address,
    healthzPort: 10_348,
    tlsCertFile: pki("kubelet-2.crt"),
    tlsPrivateKeyFile: pki("kubelet-2.key"),
    containerRuntimeEndpoint: `unix://${containerdSocket.replace(containerdRunDir, second(containerdRunDir))}`,
    cgroupRoot: "/second",
    podLogsDir: second(podLogsDir),
    registerWithTaints: [taint],
  };
  writeIfChanged(files.kubelet, stringify(config));
  await ensure(containerd);
  await ensure(secondKubelet(`${taint.key}=${taint.value}`));
  await kubectlWait("create", 120, `node/${name}`);
  await kubectlWait("condition=Ready", 120, `node/${name}`);
}
