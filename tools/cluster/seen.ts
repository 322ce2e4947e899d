/** What `npm run init` and `npm run doctor` see of a cluster, and conclusions from that. Everything here is pure. */
import { isIP, isIPv4 } from "node:net";
import { rangeOfAddress } from "../../infra/config/cidr.ts";
import type { ApiServer, RegisteredApi } from "../../infra/kubernetes/cluster.ts";

export interface SeenNode {
  name: string;
  /** The node's processor architecture, for example amd64. */
  architecture: string;
  /** The node's internal addresses. */
  addresses: string[];
  /** Addresses at which the node is reached from outside the cluster's network; usually none. */
  externalAddresses: string[];
  /**
   * The node's `spec.providerID`, for example aws:///eu-west-1a/i-0123, kind://docker/kind/NAME or k3s://pi; empty if the node
   * has none.
   */
  providerId: string;
  labels: Record<string, string>;
  /** How many CPUs of the node pods may use. */
  cpus: number;
}

/** An IngressClass or GatewayClass of the cluster, and the controller that serves the class. */
export interface SeenClass {
  name: string;
  controller: string;
}

/** A Gateway of the Gateway API. */
export interface SeenGateway {
  name: string;
  namespace: string;
  /** The name of the Gateway's GatewayClass. */
  className: string;
  listeners: {
    name: string;
    /** Whose routes the listener takes. `selected`: those of namespaces that have certain labels. */
    routesFrom: "all namespaces" | "selected namespaces" | "own namespace" | "no namespace";
  }[];
}

/** A Berth that the cluster has. */
export interface SeenBerth {
  /** The platform's namespace. */
  namespace: string;
  /** The stack's name without the organization. */
  stack: string;
  /** The beginning of the names of tenants' namespaces. Missing: the Berth has no tenant. */
  tenantPrefix?: string | undefined;
}

export interface Seen {
  /** The UID of the namespace kube-system. */
  id: string;
  /** The version of Kubernetes, for example v1.34.1-eks-a737599. */
  version: string;
  nodes: SeenNode[];
  storageClasses: { name: string; provisioner: string; isDefault: boolean }[];
  /** The DaemonSets of all namespaces, with the arguments of all their containers. */
  daemonSets: { namespace: string; name: string; args: string[] }[];
  /** The names of the pods with the label k8s-app=kube-dns in the namespace kube-system. */
  dnsPods: string[];
  /** The addresses of the Service kube-dns in the namespace kube-system; empty if there is no such Service. */
  dnsService: string[];
  /** The real addresses behind the Service `kubernetes`. */
  apiServers: ApiServer[];
  apis: RegisteredApi[];
  ingressClasses: SeenClass[];
  gatewayClasses: SeenClass[];
  gateways: SeenGateway[];
  /** The namespace and the label app.kubernetes.io/name of each pod of an ingress controller. */
  ingressNamespaces: { namespace: string; app: string }[];
  /** cert-manager's ClusterIssuers; null if the cluster has no cert-manager. */
  clusterIssuers: string[] | null;
  runtimeClasses: string[];
  /** The registry on the user's machine from which the nodes can pull, for example localhost:5001. */
  localRegistry: string | null;
  berths: SeenBerth[];
  /** What could not be read, with the reason, for example `runtime classes: HTTP 403`. */
  unread: string[];
}

/** The product or cloud service with which the cluster was made. Null: unknown. */
export type Distribution = "kind" | "minikube" | "Docker Desktop" | "k3d" | "k3s" | "EKS" | "GKE" | "AKS" | null;

export function distributionOf({ version, nodes }: Pick<Seen, "version" | "nodes">): Distribution {
  const [node] = nodes;
  if (node?.providerId.startsWith("kind://")) return "kind";
  if (node?.labels["minikube.k8s.io/name"] !== undefined) return "minikube";
  if (node?.name.startsWith("docker-desktop")) return "Docker Desktop";
  if (version.includes("+k3s")) return node?.name.startsWith("k3d-") ? "k3d" : "k3s";
  if (version.includes("-eks-")) return "EKS";
  if (version.includes("-gke.")) return "GKE";
  if (node?.providerId.startsWith("azure://")) return "AKS";
  return null;
}

/** Whether the cluster runs on the user's machine, so that its data are trial data. */
export const isOnThisMachine = (distribution: Distribution): boolean =>
  ["kind", "minikube", "Docker Desktop", "k3d"].includes(distribution ?? "");

/** Whether network policies have an effect. `unknown`: only a trial shows whether they have an effect. */
export interface PolicyEngine {
  name: string;
  enforces: "yes" | "no" | "unknown";
  /** What to do if `enforces` is not `yes`. */
  remedy?: string;
}

/** Network plugins that enforce network policies, by the name of their DaemonSet. */
const engines: Record<string, string> = {
  cilium: "Cilium",
  anetd: "GKE Dataplane V2",
  "calico-node": "Calico",
  canal: "Canal",
  "antrea-agent": "Antrea",
  "kube-router": "kube-router",
  "weave-net": "Weave Net",
  "ovnkube-node": "OVN-Kubernetes",
  "azure-npm": "Azure Network Policy Manager",
};

export function policyEngineOf(seen: Pick<Seen, "version" | "nodes" | "daemonSets">): PolicyEngine {
  const find = (...names: string[]) => seen.daemonSets.find(({ name }) => names.includes(name));
  const engine = find(...Object.keys(engines));
  if (engine) return { name: engines[engine.name] ?? engine.name, enforces: "yes" };
  const aws = find("aws-node");
  if (aws)
    return aws.args.includes("--enable-network-policy=true")
      ? { name: "Amazon VPC CNI with its network policy agent", enforces: "yes" }
      : {
          name: "Amazon VPC CNI without its network policy agent",
          enforces: "no",
          remedy: 'set enableNetworkPolicy to "true" in the configuration of the add-on vpc-cni',
        };
  if (find("kindnet"))
    return { name: "kindnet", enforces: "unknown", remedy: "use kind 0.24 or newer, whose kindnet enforces them" };
  const distribution = distributionOf(seen);
  if (distribution === "k3s" || distribution === "k3d")
    return {
      name: "k3s with its network policy controller",
      enforces: "unknown",
      remedy: "start k3s without --disable-network-policy",
    };
  if (distribution === "GKE")
    return { name: "GKE without network policies", enforces: "no", remedy: "make the cluster with Dataplane V2" };
  if (find("kube-flannel-ds", "kube-flannel"))
    return {
      name: "flannel",
      enforces: "no",
      remedy: "install a network plugin that enforces them, for example Calico",
    };
  return {
    name: "a network plugin that Berth does not know",
    enforces: "unknown",
    remedy: "ask the person who made the cluster, or install Calico or Cilium",
  };
}

/**
 * Who answers the DNS queries of pods. `known`: pods to which Berth's default network policies allow DNS queries. `node`:
 * NodeLocal DNSCache on each node.
 */
export function dnsOf({ dnsPods, daemonSets }: Pick<Seen, "dnsPods" | "daemonSets">): "known" | "node" | "unknown" {
  if (daemonSets.some(({ name }) => name === "node-local-dns")) return "node";
  return dnsPods.length > 0 ? "known" : "unknown";
}

/**
 * The addresses at which NodeLocal DNSCache answers on each node: those in the arguments of the cache's pods, and those of the
 * Service kube-dns. If the arguments name no address, the first address is 169.254.20.10, which the cache has by default.
 */
export function dnsCachesOf({ daemonSets, dnsService }: Pick<Seen, "daemonSets" | "dnsService">): string[] {
  const { args = [] } = daemonSets.find(({ name }) => name === "node-local-dns") ?? {};
  const flag = args.findIndex((arg) => /^--?localip(=|$)/.test(arg));
  const value = args[flag]?.split("=")[1] ?? args[flag + 1] ?? "";
  const local = flag < 0 ? [] : value.split(",").filter((address) => isIP(address) !== 0);
  return [...new Set([...(local.length > 0 ? local : ["169.254.20.10"]), ...dnsService])];
}

/** The Service that serves an API group, as `namespace/name`, or `the API server`; undefined if nobody serves the group. */
export const serverOf = ({ apis }: Pick<Seen, "apis">, group: string): string | undefined => {
  const api = apis.find((one) => one.group === group);
  return api && (api.service ?? "the API server");
};

/** Whether the API server runs on the cluster's own nodes, and not where a cloud provider runs it. */
export const isApiOnNodes = ({ apiServers, nodes }: Pick<Seen, "apiServers" | "nodes">): boolean =>
  apiServers.every(({ address }) => nodes.some(({ addresses }) => addresses.includes(address)));

/**
 * Address ranges that contain all addresses. The IPv4 addresses get the smallest range from /24 to /16 that contains all of
 * them. If they differ too much for a /16, each gets its own /24. Each IPv6 address gets a /128.
 */
export function rangesOf(addresses: string[]): string[] {
  const v4 = addresses.filter(isIPv4).map(numberOf);
  const v6 = addresses.filter((address) => !isIPv4(address)).map((address) => `${address}/128`);
  const [first, ...rest] = v4;
  if (first === undefined) return v6;
  const differing = rest.reduce((bits, one) => bits | (one ^ first), 0) >>> 0;
  const prefix = Math.min(24, Math.clz32(differing));
  const ranges = prefix >= 16 ? [rangeOf(first, prefix)] : v4.map((one) => rangeOf(one, 24));
  return [...new Set([...ranges, ...v6])];
}

/** Ranges that contain the internal and the external addresses of all nodes. */
export const nodeRangesOf = ({ nodes }: Pick<Seen, "nodes">): string[] => [
  ...rangesOf(nodes.flatMap(({ addresses }) => addresses)),
  ...new Set(nodes.flatMap(({ externalAddresses }) => externalAddresses.map(rangeOfAddress))),
];

const numberOf = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

const rangeOf = (address: number, prefix: number) => {
  const network = Math.floor(address / 2 ** (32 - prefix)) * 2 ** (32 - prefix);
  return `${[24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join(".")}/${prefix}`;
};
