/** The configuration files of the cluster's daemons. The functions return the texts of the files. No function does any I/O. */
import { stringify } from "yaml";
import { machine } from "../../machine/machine.ts";
import {
  cniDir,
  containerdDir,
  containerdRunDir,
  containerdSocket,
  etc,
  pki,
  podAddressesDir,
  podLogsDir,
  registryDir,
  registryHostsDir,
} from "./layout.ts";

const { clusterDomain, dnsServiceIp, nodeIp, nodeName, podCidr, registry } = machine;

export const files = {
  registry: etc("registry.yaml"),
  registryHosts: `${registryHostsDir}/_default/hosts.toml`,
  containerd: etc("containerd.toml"),
  cni: `${cniDir}/10-berth.conflist`,
  resolvConf: etc("resolv.conf"),
  kubelet: etc("kubelet.yaml"),
  proxy: etc("kube-proxy.yaml"),
  admission: etc("admission.yaml"),
};

/** The text of each file, by path. `pauseImage` is the image of the container that holds a pod's namespaces. */
export function configFiles(pauseImage: string): Record<string, string> {
  return {
    [files.registry]: registryConfig(),
    [files.registryHosts]: registryHosts(),
    [files.containerd]: containerdConfig(pauseImage),
    [files.cni]: cniConfig(),
    [files.resolvConf]: "", // pods use only the cluster's DNS
    [files.kubelet]: kubeletConfig(),
    [files.proxy]: proxyConfig(),
    [files.admission]: admissionConfig(),
  };
}

export function registryConfig(): string {
  return stringify({
    version: "0.1",
    log: { level: "warn", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: registryDir }, delete: { enabled: true } },
    http: { addr: registry },
  });
}

/**
 * containerd looks for the images of every registry only in the local registry, with plain HTTP. So no packet leaves the machine,
 * even if the name of a pod's image is wrong.
 */
function registryHosts(): string {
  return `server = "http://${registry}"\n[host."http://${registry}"]\n  capabilities = ["pull", "resolve"]\n`;
}

/**
 * containerd lowers no OOM score, because a lower score needs CAP_SYS_RESOURCE, which root may lack. containerd uses cgroupfs,
 * because the machine may lack systemd.
 */
export function containerdConfig(pauseImage: string): string {
  return `version = 2
root = "${containerdDir}"
state = "${containerdRunDir}"
oom_score = 0

[grpc]
  address = "${containerdSocket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "${containerdDir}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  disable_apparmor = true
  restrict_oom_score_adj = true

  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${cniDir}"

  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${registryHostsDir}"
`;
}

/**
 * Each pod has its own link to the node. So the node routes the packets between pods, and netpol filters them. Masquerading is
 * off, because no packet leaves the machine.
 */
function cniConfig(): string {
  return JSON.stringify({
    cniVersion: "1.0.0",
    name: "berth",
    plugins: [
      {
        type: "ptp",
        ipMasq: false,
        ipam: {
          type: "host-local",
          dataDir: podAddressesDir,
          ranges: [[{ subnet: podCidr }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  });
}

export function kubeletConfig(): string {
  return stringify({
    apiVersion: "kubelet.config.k8s.io/v1beta1",
    kind: "KubeletConfiguration",
    address: nodeIp,
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: pki("ca.crt") },
    },
    authorization: { mode: "Webhook" },
    tlsCertFile: pki("kubelet-server.crt"),
    tlsPrivateKeyFile: pki("kubelet-server.key"),
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    cgroupDriver: "cgroupfs",
    failCgroupV1: false,
    failSwapOn: false,
    oomScoreAdj: 0,
    clusterDNS: [dnsServiceIp],
    clusterDomain,
    resolvConf: files.resolvConf,
    podLogsDir,
    podPidsLimit: 4096,
    // A changed Secret reaches running pods within 10 s (default 1 min). So a new tenant's key, which is in a Secret, works soon.
    syncFrequency: "10s",
    serializeImagePulls: false,
    volumePluginDir: etc("volume-plugins"),
    // a developer's disk is often fuller than a server's
    evictionHard: { "memory.available": "200Mi", "nodefs.available": "2%", "imagefs.available": "2%" },
    imageGCHighThresholdPercent: 99,
    imageGCLowThresholdPercent: 98,
  });
}

/** NodePorts are open only on the node's address. kube-proxy does not change the machine's conntrack settings. */
export function proxyConfig(): string {
  return stringify({
    apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
    kind: "KubeProxyConfiguration",
    clientConnection: { kubeconfig: etc("proxy.kubeconfig") },
    mode: "iptables",
    clusterCIDR: podCidr,
    hostnameOverride: nodeName,
    bindAddress: nodeIp,
    nodePortAddresses: [`${nodeIp}/32`],
    iptables: { localhostNodePorts: false },
    healthzBindAddress: `${nodeIp}:10256`,
    metricsBindAddress: "127.0.0.1:10249",
    oomScoreAdj: 0,
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" },
  });
}

/**
 * Enforces Pod Security "baseline" in each namespace that sets no other level. The add-ons' namespaces are exempt, because their
 * pods need more rights: for example, a pod makes volumes on the machine's disk.
 */
function admissionConfig(): string {
  const podSecurity = {
    apiVersion: "pod-security.admission.config.k8s.io/v1",
    kind: "PodSecurityConfiguration",
    defaults: { enforce: "baseline", "enforce-version": "latest" },
    exemptions: { namespaces: ["kube-system", "local-path-storage"] },
  };
  return stringify({
    apiVersion: "apiserver.config.k8s.io/v1",
    kind: "AdmissionConfiguration",
    plugins: [{ name: "PodSecurity", configuration: podSecurity }],
  });
}
