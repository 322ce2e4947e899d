/** Clusters as `npm run init` sees them, for tests. */
import type { Seen, SeenNode } from "./seen.ts";

const node = (name: string, address: string, more: Partial<SeenNode> = {}): SeenNode => ({
  name,
  architecture: "amd64",
  addresses: [address],
  externalAddresses: [],
  providerId: "",
  labels: {},
  cpus: 4,
  ...more,
});

const api = (group: string, service: string | null, version = "v1beta1") => ({
  name: `${version}.${group}`,
  group,
  service,
});

const metricsServer = api("metrics.k8s.io", "kube-system/metrics-server");
const id = "3f1c9a52-7c1e-4d55-9a31-0d6f4b1f0a11";

const plain: Seen = {
  id,
  version: "v1.34.1",
  nodes: [],
  storageClasses: [],
  daemonSets: [],
  dnsPods: ["coredns-1"],
  dnsService: ["10.96.0.10"],
  apiServers: [],
  apis: [api("apps", null, "v1")],
  ingressClasses: [],
  gatewayClasses: [],
  gateways: [],
  ingressNamespaces: [],
  clusterIssuers: null,
  runtimeClasses: [],
  localRegistry: null,
  berths: [],
  unread: [],
};

const standard = (provisioner: string, name = "standard") => ({ name, provisioner, isDefault: true });
const daemonSet = (name: string, args: string[] = []) => ({ namespace: "kube-system", name, args });

/** The cluster of `npm run up`. */
export const local: Seen = {
  ...plain,
  version: "v1.34.4",
  nodes: [node("berth", "10.200.0.1", { cpus: 2 })],
  storageClasses: [standard("rancher.io/local-path", "local-path")],
  apiServers: [{ address: "10.200.0.1", port: 6443 }],
};

export const kind: Seen = {
  ...plain,
  nodes: ["kind-control-plane", "kind-worker"].map((name, index) =>
    node(name, `172.18.0.${index + 2}`, { providerId: `kind://docker/kind/${name}`, architecture: "arm64" }),
  ),
  storageClasses: [standard("rancher.io/local-path")],
  daemonSets: [daemonSet("kindnet"), daemonSet("kube-proxy")],
  apiServers: [{ address: "172.18.0.2", port: 6443 }],
  localRegistry: "localhost:5001",
};

export const gke: Seen = {
  ...plain,
  version: "v1.33.5-gke.1080000",
  nodes: [1, 2, 3].map((number) =>
    node(`gke-prod-${number}`, `10.132.0.${number + 10}`, {
      providerId: `gce://acme/europe-west1-b/gke-prod-${number}`,
    }),
  ),
  storageClasses: [
    standard("pd.csi.storage.gke.io", "standard-rwo"),
    { name: "premium-rwo", provisioner: "pd.csi.storage.gke.io", isDefault: false },
  ],
  daemonSets: [
    daemonSet("anetd"),
    daemonSet("node-local-dns", ["-localip", "169.254.20.10,34.118.224.10", "-conf", "/etc/Corefile"]),
    daemonSet("netd"),
  ],
  dnsService: ["34.118.224.10"],
  apiServers: [{ address: "10.132.0.2", port: 443 }],
  apis: [...plain.apis, metricsServer, api("external.metrics.k8s.io", "keda/keda-operator-metrics-apiserver")],
  gatewayClasses: [{ name: "gke-l7-global-external-managed", controller: "networking.gke.io/gateway" }],
  gateways: [
    {
      name: "shared",
      namespace: "edge",
      className: "gke-l7-global-external-managed",
      listeners: [{ name: "https", routesFrom: "all namespaces" }],
    },
  ],
  runtimeClasses: ["gvisor"],
};

export const eks: Seen = {
  ...plain,
  version: "v1.33.4-eks-a737599",
  nodes: [1, 2, 3, 4].map((number) =>
    node(`ip-10-0-${number}-5`, `10.0.${number}.5`, {
      providerId: `aws:///eu-west-1a/i-${number}`,
      architecture: number === 4 ? "arm64" : "amd64",
    }),
  ),
  storageClasses: [{ name: "gp3", provisioner: "ebs.csi.aws.com", isDefault: false }],
  daemonSets: [daemonSet("aws-node", ["--enable-network-policy=false"]), daemonSet("kube-proxy")],
  apiServers: [
    { address: "10.0.1.77", port: 443 },
    { address: "10.0.2.18", port: 443 },
  ],
  apis: [...plain.apis, metricsServer, api("custom.metrics.k8s.io", "datadog/cluster-agent-metrics", "v1beta2")],
  ingressClasses: [
    { name: "alb", controller: "ingress.k8s.aws/alb" },
    { name: "nginx", controller: "k8s.io/ingress-nginx" },
  ],
  ingressNamespaces: [{ namespace: "ingress-nginx", app: "ingress-nginx" }],
  clusterIssuers: ["letsencrypt"],
};

/** A cluster that kubeadm made, with Cilium. */
export const cilium: Seen = {
  ...plain,
  nodes: [10, 11, 12].map((number) => node(`node-${number}`, `10.5.0.${number}`)),
  storageClasses: [standard("driver.longhorn.io", "longhorn")],
  daemonSets: [daemonSet("cilium"), daemonSet("cilium-envoy")],
  apiServers: [{ address: "10.5.0.10", port: 6443 }],
};

/** AKS with Azure CNI powered by Cilium. */
export const aks: Seen = {
  ...plain,
  version: "v1.34.2",
  nodes: [0, 1, 2].map((number) =>
    node(`aks-berth-12345678-vmss00000${number}`, `10.224.0.${number + 4}`, {
      providerId: `azure:///subscriptions/1/resourceGroups/berth/virtualMachineScaleSets/berth/virtualMachines/${number}`,
    }),
  ),
  storageClasses: [
    standard("disk.csi.azure.com", "default"),
    { name: "azurefile", provisioner: "file.csi.azure.com", isDefault: false },
  ],
  daemonSets: [daemonSet("cilium"), daemonSet("azure-cns"), daemonSet("csi-azuredisk-node")],
  dnsService: ["10.0.0.10"],
  apiServers: [{ address: "203.0.113.7", port: 443 }],
  apis: [...plain.apis, metricsServer],
};

export const k3s: Seen = {
  ...plain,
  version: "v1.32.9+k3s1",
  nodes: [node("pi", "192.168.1.20", { providerId: "k3s://pi", architecture: "arm64" })],
  storageClasses: [standard("rancher.io/local-path", "local-path")],
  apiServers: [{ address: "192.168.1.20", port: 6443 }],
  apis: [...plain.apis, metricsServer],
  ingressClasses: [{ name: "traefik", controller: "traefik.io/ingress-controller" }],
  ingressNamespaces: [{ namespace: "kube-system", app: "traefik" }],
};
