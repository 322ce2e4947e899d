/** The daemons of the cluster, with the program, the arguments and the files of each daemon. */
import { fileURLToPath } from "node:url";
import { machine } from "../../machine/machine.ts";
import { architecture } from "../lib/obtain.ts";
import { program } from "./build.ts";
import { files } from "./configs.ts";
import type { ClusterDaemon } from "./daemons.ts";
import { etc, etcdDir, kubeletDir, pki } from "./layout.ts";

const {
  apiNodePort,
  clusterDomain,
  kubeconfig,
  nodeIp,
  nodeName,
  podCidr,
  registryPort,
  sandboxNodePort,
  serviceCidr,
} = machine;

/** Turns a record into arguments such as `--name=value`. */
const flags = (values: Record<string, string>) => Object.entries(values).map(([name, value]) => `--${name}=${value}`);

const etcdUrl = "https://127.0.0.1:2379";
const etcdPeerUrl = "http://127.0.0.1:2380";

/** On a processor other than amd64, Debian 12's etcd starts only if ETCD_UNSUPPORTED_ARCH names the processor. Pure. */
export const etcdEnvironment = (architecture: string) =>
  architecture === "amd64" ? {} : { env: { ETCD_UNSUPPORTED_ARCH: architecture } };

export const etcd: ClusterDaemon = {
  name: "etcd",
  command: "etcd",
  args: flags({
    name: "berth",
    "data-dir": etcdDir,
    "listen-client-urls": etcdUrl,
    "advertise-client-urls": etcdUrl,
    "listen-peer-urls": etcdPeerUrl,
    "initial-advertise-peer-urls": etcdPeerUrl,
    "initial-cluster": `berth=${etcdPeerUrl}`,
    "cert-file": pki("etcd.crt"),
    "key-file": pki("etcd.key"),
    "client-cert-auth": "true",
    "trusted-ca-file": pki("etcd-ca.crt"),
    "auto-compaction-retention": "1",
    "log-level": "warn",
  }),
  files: [pki("etcd.crt"), pki("etcd-ca.crt")],
  ...etcdEnvironment(architecture),
};

const forwardProgram = fileURLToPath(new URL("forward.ts", import.meta.url));

const forwarded = [
  { listen: registryPort, host: "127.0.0.1", port: registryPort },
  { listen: apiNodePort, host: nodeIp, port: apiNodePort },
  { listen: sandboxNodePort, host: nodeIp, port: sandboxNodePort },
];

/**
 * Carries connections from this machine's loopback into the node. Docker needs a registry on loopback, because Docker pushes over
 * plain HTTP only to loopback addresses.
 */
export const forwards: ClusterDaemon = {
  name: "forwards",
  command: process.execPath,
  args: [forwardProgram, String(forwarded.length)],
  files: [forwardProgram],
  forwards: forwarded,
};

export const registryDaemon: ClusterDaemon = {
  name: "registry",
  command: "docker-registry",
  args: ["serve", files.registry],
  files: [files.registry],
};

/**
 * containerd starts a shim for the containers of each pod. The shims survive the end of containerd, but not the end of the node.
 */
export const containerd: ClusterDaemon = {
  name: "containerd",
  command: "containerd",
  args: ["--config", files.containerd],
  files: [files.containerd],
};

export const apiserver: ClusterDaemon = {
  name: "kube-apiserver",
  command: program("kube-apiserver"),
  args: flags({
    "advertise-address": nodeIp,
    "bind-address": nodeIp,
    "secure-port": "6443",
    "tls-cert-file": pki("apiserver.crt"),
    "tls-private-key-file": pki("apiserver.key"),
    "client-ca-file": pki("ca.crt"),
    "etcd-servers": etcdUrl,
    "etcd-cafile": pki("etcd-ca.crt"),
    "etcd-certfile": pki("apiserver-etcd.crt"),
    "etcd-keyfile": pki("apiserver-etcd.key"),
    "authorization-mode": "Node,RBAC",
    "enable-admission-plugins": "NodeRestriction",
    "admission-control-config-file": files.admission,
    "allow-privileged": "true",
    "service-cluster-ip-range": serviceCidr,
    "service-account-issuer": `https://kubernetes.default.svc.${clusterDomain}`,
    "service-account-key-file": pki("service-accounts.crt"),
    "service-account-signing-key-file": pki("service-accounts.key"),
    "kubelet-client-certificate": pki("apiserver-kubelet.crt"),
    "kubelet-client-key": pki("apiserver-kubelet.key"),
    "kubelet-certificate-authority": pki("ca.crt"),
    "kubelet-preferred-address-types": "InternalIP",
    "requestheader-client-ca-file": pki("front-proxy-ca.crt"),
    "requestheader-allowed-names": "front-proxy-client",
    "requestheader-extra-headers-prefix": "X-Remote-Extra-",
    "requestheader-group-headers": "X-Remote-Group",
    "requestheader-username-headers": "X-Remote-User",
    "proxy-client-cert-file": pki("front-proxy.crt"),
    "proxy-client-key-file": pki("front-proxy.key"),
    profiling: "false",
  }),
  files: [files.admission, pki("apiserver.crt"), pki("ca.crt"), pki("service-accounts.crt")],
  // A graceful end of the API server would wait up to a minute for open watches.
  stopMs: 2_000,
};

/**
 * Autoscalers check every 5 s (default 15 s), and use the CPU figures of a new pod after 15 s at the latest (default 5 min), so
 * that tests and demonstrations need not wait.
 */
export const controllerManager: ClusterDaemon = {
  name: "kube-controller-manager",
  command: program("kube-controller-manager"),
  args: flags({
    ...withKubeconfig("controller-manager"),
    "bind-address": "127.0.0.1",
    "client-ca-file": pki("ca.crt"),
    "requestheader-client-ca-file": pki("front-proxy-ca.crt"),
    "root-ca-file": pki("ca.crt"),
    "service-account-private-key-file": pki("service-accounts.key"),
    "use-service-account-credentials": "true",
    "cluster-signing-cert-file": pki("ca.crt"),
    "cluster-signing-key-file": pki("ca.key"),
    "allocate-node-cidrs": "true",
    "cluster-cidr": podCidr,
    "service-cluster-ip-range": serviceCidr,
    "leader-elect": "false",
    "horizontal-pod-autoscaler-sync-period": "5s",
    "horizontal-pod-autoscaler-initial-readiness-delay": "5s",
    "horizontal-pod-autoscaler-cpu-initialization-period": "15s",
  }),
  files: [etc("controller-manager.kubeconfig")],
};

export const scheduler: ClusterDaemon = {
  name: "kube-scheduler",
  command: program("kube-scheduler"),
  args: flags({ ...withKubeconfig("scheduler"), "bind-address": "127.0.0.1", "leader-elect": "false" }),
  files: [etc("scheduler.kubeconfig")],
};

export const kubelet: ClusterDaemon = {
  name: "kubelet",
  command: program("kubelet"),
  args: flags({
    config: files.kubelet,
    kubeconfig: etc("kubelet.kubeconfig"),
    "hostname-override": nodeName,
    "node-ip": nodeIp,
    "root-dir": kubeletDir,
    "cert-dir": `${kubeletDir}/pki`,
  }),
  files: [files.kubelet, etc("kubelet.kubeconfig")],
};

export const kubeProxy: ClusterDaemon = {
  name: "kube-proxy",
  command: program("kube-proxy"),
  args: flags({ config: files.proxy }),
  files: [files.proxy, etc("proxy.kubeconfig")],
};

export const netpol: ClusterDaemon = {
  name: "netpol",
  command: program("netpol"),
  args: flags({ kubeconfig }),
  files: [kubeconfig],
};

/** All daemons, in the order in which `npm run status` shows them. */
export const components = [
  forwards,
  registryDaemon,
  etcd,
  containerd,
  apiserver,
  controllerManager,
  scheduler,
  kubelet,
  kubeProxy,
  netpol,
];

function withKubeconfig(user: string): Record<string, string> {
  const file = etc(`${user}.kubeconfig`);
  return { kubeconfig: file, "authentication-kubeconfig": file, "authorization-kubeconfig": file };
}
