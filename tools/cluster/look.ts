/** Looks at a cluster. Nothing here changes the cluster. */
import * as k8s from "@kubernetes/client-node";
import { apiServersOf, type ClusterAccess, configOf, registered } from "../../infra/kubernetes/cluster.ts";
import { tenantLabel } from "../../infra/kubernetes/labels.ts";
import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import type { Seen, SeenBerth, SeenClass, SeenGateway } from "./seen.ts";

/** The label of ingress controllers' pods in the charts of ingress-nginx, haproxy-ingress and Traefik. */
const controllers = "app.kubernetes.io/name in (ingress-nginx,haproxy-ingress,traefik)";

/** The label of all namespaces of Berths. */
const ofBerths = "app.kubernetes.io/part-of=berth";

/**
 * Looks at the cluster. If the user may not read something, its field is empty, and `unread` names it.
 * @throws Error with the reason if the cluster does not answer, or if the user may not read the namespace kube-system
 */
export async function lookAt(access: ClusterAccess): Promise<Seen> {
  const config = configOf(access);
  const [core, apps, networking, custom] = [
    config.makeApiClient(k8s.CoreV1Api),
    config.makeApiClient(k8s.AppsV1Api),
    config.makeApiClient(k8s.NetworkingV1Api),
    config.makeApiClient(k8s.CustomObjectsApi),
  ];
  const unread: string[] = [];
  /**
   * The answer, or `otherwise` if Kubernetes answers with an error, for example because the user has no permission. Each error
   * is added to `unread`, except 404, which means that the API or the object does not exist.
   */
  const ask = async <T, U>(what: string, answer: Promise<T>, otherwise: U): Promise<T | U> =>
    answer.catch((error: unknown) => {
      if (!(error instanceof k8s.ApiException)) throw error;
      if (error.code !== 404) unread.push(`${what}: HTTP ${error.code}`);
      return otherwise;
    });
  const none = { items: [] };
  const listed = (group: string, version: string, plural: string) =>
    ask(plural, custom.listClusterCustomObject({ group, version, plural }), null) as Promise<{
      items: CustomObject[];
    } | null>;

  const [kubeSystem, { gitVersion }] = await Promise.all([
    core.readNamespace({ name: "kube-system" }),
    config.makeApiClient(k8s.VersionApi).getCode(),
  ]);
  const slices = config.makeApiClient(k8s.DiscoveryV1Api);
  const dns = { namespace: "kube-system", labelSelector: "k8s-app=kube-dns" };
  const hosting = { namespace: "kube-public", name: "local-registry-hosting" };
  const [nodes, storageClasses, daemonSets, dnsPods, dnsService] = await Promise.all([
    ask("nodes", core.listNode(), none),
    ask("storage classes", config.makeApiClient(k8s.StorageV1Api).listStorageClass(), none),
    ask("DaemonSets", apps.listDaemonSetForAllNamespaces(), none),
    ask("DNS pods", core.listNamespacedPod(dns), none),
    ask("DNS Service", core.readNamespacedService({ namespace: "kube-system", name: "kube-dns" }), null),
  ]);
  const [slice, apis, ingressClasses, ingressPods] = await Promise.all([
    ask("API server", slices.readNamespacedEndpointSlice({ namespace: "default", name: "kubernetes" }), null),
    ask("APIServices", config.makeApiClient(k8s.ApiregistrationV1Api).listAPIService(), none),
    ask("ingress classes", networking.listIngressClass(), none),
    ask("ingress controllers", core.listPodForAllNamespaces({ labelSelector: controllers }), none),
  ]);
  const [gatewayClasses, gateways, clusterIssuers, runtimeClasses, registry, namespaces] = await Promise.all([
    listed("gateway.networking.k8s.io", "v1", "gatewayclasses"),
    listed("gateway.networking.k8s.io", "v1", "gateways"),
    listed("cert-manager.io", "v1", "clusterissuers"),
    ask("runtime classes", config.makeApiClient(k8s.NodeV1Api).listRuntimeClass(), none),
    ask("local registry", core.readNamespacedConfigMap(hosting), null),
    ask("namespaces", core.listNamespace({ labelSelector: ofBerths }), none),
  ]);
  return {
    id: kubeSystem.metadata?.uid ?? "",
    version: gitVersion,
    nodes: nodes.items.map(node),
    storageClasses: storageClasses.items.map(({ metadata, provisioner }) => ({
      name: metadata?.name ?? "",
      provisioner,
      isDefault: metadata?.annotations?.["storageclass.kubernetes.io/is-default-class"] === "true",
    })),
    daemonSets: daemonSets.items.map(({ metadata, spec }) => ({
      namespace: metadata?.namespace ?? "",
      name: metadata?.name ?? "",
      args: (spec?.template.spec?.containers ?? []).flatMap(({ args = [], command = [] }) => [...command, ...args]),
    })),
    dnsPods: dnsPods.items.map(({ metadata }) => metadata?.name ?? ""),
    dnsService: (dnsService?.spec?.clusterIPs ?? []).filter((address) => address !== "None"),
    apiServers: slice === null ? [] : apiServersOf(slice),
    apis: apis.items.map(registered),
    ingressClasses: ingressClasses.items.map(({ metadata, spec }) => ({
      name: metadata?.name ?? "",
      controller: spec?.controller ?? "",
    })),
    gatewayClasses: (gatewayClasses?.items ?? []).map(
      ({ metadata, spec }): SeenClass => ({ name: metadata.name, controller: spec?.controllerName ?? "" }),
    ),
    gateways: (gateways?.items ?? []).map(gateway),
    ingressNamespaces: ingressPods.items.map(({ metadata }) => ({
      namespace: metadata?.namespace ?? "",
      app: metadata?.labels?.["app.kubernetes.io/name"] ?? "",
    })),
    clusterIssuers: clusterIssuers?.items.map(({ metadata }) => metadata.name) ?? null,
    runtimeClasses: runtimeClasses.items.map(({ metadata }) => metadata?.name ?? ""),
    localRegistry: /^host: *"?([^"\s]+)/m.exec(registry?.data?.["localRegistryHosting.v1"] ?? "")?.[1] ?? null,
    berths: berthsOf(namespaces.items),
    unread,
  };
}

/** The fields of custom objects that Berth reads. */
interface CustomObject {
  metadata: { name: string; namespace?: string };
  spec?: {
    controllerName?: string;
    gatewayClassName?: string;
    listeners?: { name: string; allowedRoutes?: { namespaces?: { from?: string } } }[];
  };
}

/** Whose routes a listener takes, by the listener's field `allowedRoutes.namespaces.from`. */
const routesFrom: Record<string, SeenGateway["listeners"][number]["routesFrom"]> = {
  All: "all namespaces",
  Selector: "selected namespaces",
  None: "no namespace",
};

export const gateway = ({ metadata: { name, namespace = "" }, spec }: CustomObject): SeenGateway => ({
  name,
  namespace,
  className: spec?.gatewayClassName ?? "",
  // Without a rule, a listener takes routes of the Gateway's namespace only.
  listeners: (spec?.listeners ?? []).map(({ name, allowedRoutes }) => ({
    name,
    routesFrom: routesFrom[allowedRoutes?.namespaces?.from ?? "Same"] ?? "own namespace",
  })),
});

/** The Berths to which the namespaces belong. Each Berth has one namespace for its platform, and one for each tenant. */
export function berthsOf(namespaces: k8s.V1Namespace[]): SeenBerth[] {
  const all = namespaces.map(({ metadata }) => ({
    name: metadata?.name ?? "",
    stack: metadata?.labels?.["app.kubernetes.io/instance"] ?? "",
    isPlatform: metadata?.labels?.["app.kubernetes.io/component"] === "platform",
    tenant: metadata?.labels?.[tenantLabel],
  }));
  return all
    .filter(({ isPlatform }) => isPlatform)
    .map(({ name, stack }) => {
      const own = all.find((one) => one.stack === stack && one.tenant !== undefined && one.name.endsWith(one.tenant));
      return { namespace: name, stack, tenantPrefix: own?.name.slice(0, -(own.tenant?.length ?? 0)) };
    });
}

export const node = ({ metadata, spec, status }: k8s.V1Node): Seen["nodes"][number] => ({
  name: metadata?.name ?? "",
  architecture: status?.nodeInfo?.architecture ?? "",
  addresses: addressesOf(status, "InternalIP"),
  externalAddresses: addressesOf(status, "ExternalIP"),
  providerId: spec?.providerID ?? "",
  labels: metadata?.labels ?? {},
  cpus: quantityValue(status?.allocatable?.cpu ?? "0"),
});

const addressesOf = (status: k8s.V1NodeStatus | undefined, kind: string): string[] =>
  (status?.addresses ?? []).filter(({ type }) => type === kind).map(({ address }) => address);
