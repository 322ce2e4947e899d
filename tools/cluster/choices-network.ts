/** Choices about addresses, network and metrics, as keys of the stack's config. Everything here is pure. */
import { rangeOfAddress } from "../../infra/config/cidr.ts";
import { namespaceFor } from "./choices.ts";
import {
  distributionOf,
  dnsCachesOf,
  dnsOf,
  isApiOnNodes,
  nodeRangesOf,
  policyEngineOf,
  rangesOf,
  type Seen,
  type SeenClass,
  type SeenGateway,
  serverOf,
} from "./seen.ts";
import type { Choice, Wanted } from "./stack-file.ts";

/** Local ports that users forward to the cluster. The stack `dev` uses the same numbers. */
const [apiPort, sandboxPort] = [30080, 30090];

/** How users reach the API and the ports of sessions. */
export function addressKeys(seen: Seen, { context, stack, url }: Wanted): Choice[] {
  if (url === undefined)
    return [
      {
        why: [
          "No address was named (--url), so users reach the API while this command runs:",
          `kubectl --context ${context} port-forward -n ${namespaceFor(seen, stack)} service/gateway ${apiPort}:80 ${sandboxPort}:3003`,
        ],
        keys: { publicUrl: `http://127.0.0.1:${apiPort}`, sandboxUrl: `http://*.localhost:${sandboxPort}` },
      },
      ...(openGateway(seen) || knownIngress(seen)
        ? [{ ...ingressChoice(seen, "https://berth.example.com"), example: true }]
        : []),
    ];
  return [
    { why: ["The address at which users reach the API."], keys: { publicUrl: url } },
    ingressChoice(seen, url),
    {
      why: [
        "To do, if users may open ports of sessions: an address in another domain than the API's. See docs/production.md#ports-of-sessions.",
      ],
      keys: { sandboxUrl: "https://*.sandbox.example.org" },
      example: true,
    },
  ];
}

/**
 * The ingress controllers that Berth knows, the best one first: ingress-nginx is retired. The keys are the `controller` of the
 * IngressClass. `key` is the controller's name in Berth's config, and `app` is the label app.kubernetes.io/name of the
 * controller's pods.
 */
const controllers: Record<string, { key: string; app: string }> = {
  "traefik.io/ingress-controller": { key: "traefik", app: "traefik" },
  "haproxy-ingress.github.io/controller": { key: "haproxy", app: "haproxy-ingress" },
  "k8s.io/ingress-nginx": { key: "nginx", app: "ingress-nginx" },
};

/** An IngressClass of the best controller that the cluster has. */
const knownIngress = ({ ingressClasses }: Pick<Seen, "ingressClasses">): SeenClass | undefined =>
  Object.keys(controllers)
    .flatMap((known) => ingressClasses.filter(({ controller }) => controller === known))
    .at(0);

/** A Gateway that takes routes of all namespaces, or else one that takes routes of namespaces with certain labels. */
const openGateway = ({ gateways }: Pick<Seen, "gateways">): SeenGateway | undefined =>
  (["all namespaces", "selected namespaces"] as const)
    .flatMap((from) => gateways.filter(({ listeners }) => listeners.some(({ routesFrom }) => routesFrom === from)))
    .at(0);

/** The controller of GKE's GatewayClasses, whose Gateways are load balancers outside of the cluster. */
const gkeController = "networking.gke.io/gateway";

function gatewayChoice(seen: Seen, { name, namespace, className, listeners }: SeenGateway, url: string): Choice {
  const isOfGke = seen.gatewayClasses.some((one) => one.name === className && one.controller === gkeController);
  const takesAll = listeners.some(({ routesFrom }) => routesFrom === "all namespaces");
  return {
    why: [
      `The cluster has the Gateway ${name} in the namespace ${namespace}, which takes routes ${takesAll ? "of all" : "of selected"} namespaces. Its listeners must have the host and the certificate of ${url}.`,
      ...(takesAll
        ? []
        : [
            "To do: the listeners take routes only of namespaces with the labels that they select. See to it that they select the platform's namespace.",
          ]),
      ...(isOfGke
        ? [
            "The Gateway is a load balancer of Google Cloud, outside the cluster, so there is no controllerNamespace. The load balancer refuses routes with a time-out, so `requestTimeout` is null.",
            "To do: make the two objects of docs/production.md#gke. Without them, the load balancer's health checks fail, and it ends every connection after 30 s.",
          ]
        : [
            "To do: if the Gateway's proxies are pods, name their namespace as controllerNamespace; without it, every pod may reach the API.",
          ]),
    ],
    keys: {
      ingress: { controller: "gateway-api", gateway: { name, namespace }, ...(isOfGke && { requestTimeout: null }) },
    },
  };
}

function ingressChoice(seen: Seen, url: string): Choice {
  const gateway = openGateway(seen);
  if (gateway !== undefined) return gatewayChoice(seen, gateway, url);
  const { ingressClasses, gatewayClasses, ingressNamespaces, clusterIssuers } = seen;
  const known = knownIngress({ ingressClasses });
  const controller = controllers[known?.controller ?? ""];
  if (known === undefined || controller === undefined)
    return {
      why: [
        `The cluster has no Gateway for other namespaces and no ingress controller that Berth knows (${listOf(ingressClasses, "no IngressClass")}; ${listOf(gatewayClasses, "no GatewayClass")}). Make a Gateway and name it as \`ingress\`, use the controller \`custom\`, or lead ${url} to port 80 of the Service \`gateway\` in the platform's namespace yourself, including WebSockets. See docs/production.md#how-users-reach-berth.`,
      ],
    };
  const namespace = ingressNamespaces.find(({ app }) => app === controller.app)?.namespace;
  const [issuer] = clusterIssuers ?? [];
  return {
    why: [
      `The cluster has the IngressClass ${known.name} of ${known.controller}${controller.key === "traefik" ? ", which must be version 3" : ""}.`,
      ...(controller.key === "nginx"
        ? [
            "Attention: ingress-nginx is retired and gets no more updates, not even against vulnerabilities. Use a Gateway or another controller as soon as you can.",
          ]
        : []),
      namespace === undefined
        ? "To do: name the namespace of the controller's pods as controllerNamespace; without it, every pod may reach the API."
        : "Only the controller's pods may reach the API.",
      ...(url.startsWith("http:")
        ? ["The address has no TLS."]
        : [
            issuer === undefined
              ? "To do: put the certificate into the Secret api-tls of the platform's namespace, because no ClusterIssuer of cert-manager was found."
              : `cert-manager issues the certificate. The cluster has the ClusterIssuers ${clusterIssuers?.join(", ")}.`,
          ]),
    ],
    keys: {
      ingress: {
        controller: controller.key,
        ...(known.name !== controller.key && { className: known.name }),
        ...(namespace !== undefined && { controllerNamespace: namespace }),
        ...(url.startsWith("http:") ? { tls: null } : issuer !== undefined && { tls: { clusterIssuer: issuer } }),
      },
    },
  };
}

const listOf = (classes: SeenClass[], none: string) =>
  classes.length === 0 ? none : classes.map(({ name, controller }) => `${name} of ${controller}`).join(", ");

/**
 * The DNS servers of a cluster with NodeLocal DNSCache: the DNS pods that the cache asks, and the addresses at which the cache
 * answers.
 */
const cachedDnsOf = (seen: Seen) => [
  { namespace: "kube-system", labels: { "k8s-app": "kube-dns" } },
  ...dnsCachesOf(seen).map((address) => ({ cidr: rangeOfAddress(address) })),
];

/** The keys on which the network policies depend: the network plugin, DNS and the addresses of the API server. */
export function networkKeys(seen: Seen): Choice[] {
  const { name, enforces, remedy } = policyEngineOf(seen);
  const cachedDns = cachedDnsOf(seen);
  const isolation = {
    yes: `Network policies isolate the sessions, and ${name} enforces them.`,
    unknown: `Network policies isolate the sessions. The cluster has ${name}. Whether it enforces them is not known, but \`npm run doctor\` tries it. If not: ${remedy}.`,
    no: `Attention: network policies isolate the sessions, and ${name} does not enforce them: ${remedy}.`,
  };
  const dns = {
    known: "Pods may query the pods k8s-app=kube-dns of the namespace kube-system, and the cluster has these.",
    node:
      seen.dnsService.length > 0
        ? "NodeLocal DNSCache answers DNS queries on each node, at its own address and at that of the Service kube-dns. `npm run doctor` tries DNS."
        : "To do: NodeLocal DNSCache answers DNS queries on each node. The cluster has no Service kube-dns whose address could be read, so add the address in /etc/resolv.conf of a pod. `npm run doctor` tries DNS. See docs/network.md#dns.",
    unknown:
      "To do: the cluster has no pods k8s-app=kube-dns in the namespace kube-system. Name the servers that pods ask, as `network.dns`. `npm run doctor` tries DNS. See docs/network.md#dns.",
  };
  const hasExternal = seen.nodes.some(({ externalAddresses }) => externalAddresses.length > 0);
  const nodes = hasExternal
    ? [
        "Attention: nodes have public addresses, which stay closed to sessions only while `nodes` names them. Name the ranges from which new nodes get their addresses.",
      ]
    : [];
  const isCilium = name === "Cilium";
  const ofCilium = isCilium
    ? [
        "Cilium ignores address ranges that are meant for nodes, so `policies: cilium` adds policies that open the nodes.",
      ]
    : [];
  const network = {
    ...(isCilium && { policies: "cilium" }),
    ...(dnsOf(seen) === "node" && { dns: cachedDns }),
    ...(hasExternal && { nodes: nodeRangesOf(seen) }),
  };
  return [
    {
      why: [isolation[enforces], ...ofCilium, dns[dnsOf(seen)], ...nodes],
      keys: Object.keys(network).length > 0 ? { network } : {},
    },
    apiServerChoice(seen),
  ];
}

function apiServerChoice(seen: Seen): Choice {
  const { apiServers } = seen;
  const keysOf = (toRanges: (addresses: string[]) => string[]) => ({
    kubernetesApi: [...Map.groupBy(apiServers, ({ port }) => port)].flatMap(([port, servers]) =>
      toRanges(servers.map(({ address }) => address)).map((cidr) => ({ cidr, port })),
    ),
  });
  if (apiServers.length === 0)
    return {
      why: ["To do: the addresses of the API server could not be read, and `up` needs them."],
      keys: { kubernetesApi: [{ cidr: "10.0.0.1/32", port: 443 }] },
      example: true,
    };
  if (!isApiOnNodes(seen))
    return {
      why: [
        "The worker may reach the API server at these addresses, which are not the nodes. They stay closed to sessions.",
        distributionOf(seen) === "EKS"
          ? "To do: EKS changes the addresses at upgrades, and then no session starts. So name the ranges of the control plane's subnets instead. Best these subnets have nothing else: see examples/eks."
          : "If the provider changes the addresses, no session starts until you add the new ones. If you know the range from which they come, name the range instead.",
      ],
      keys: keysOf((addresses) => addresses.map(rangeOfAddress)),
    };
  return {
    why: [
      `The worker may reach the API server, which is on the nodes (${apiServers.map(({ address }) => address).join(", ")}). The range is wider, because these nodes may get other addresses.`,
    ],
    keys: keysOf(rangesOf),
  };
}

/** What measures the pods, and what scales them. */
export function metricsKeys(seen: Seen, { stack }: Wanted): Choice[] {
  const own = seen.berths.find((berth) => berth.stack === stack);
  const ownAdapter = own && `${own.namespace}/prometheus-adapter`;
  const resource = serverOf(seen, "metrics.k8s.io");
  const serves = resource === undefined || resource === ownAdapter;
  return [
    prometheusChoice(seen),
    {
      why: [
        serves
          ? "Nobody serves CPU and memory (metrics.k8s.io), so the stack's adapter does."
          : `${resource} serves CPU and memory (metrics.k8s.io), so the stack's adapter does not.`,
      ],
      keys: { adapter: { ...(seen.nodes.length === 1 && { replicas: 1 }), resourceMetrics: serves } },
    },
    autoscalerChoice(seen, ownAdapter),
  ];
}

function prometheusChoice(seen: Seen): Choice {
  const { nodes } = seen;
  const distribution = distributionOf(seen);
  const signed = ["EKS", "GKE", "k3s", "k3d"].includes(distribution ?? "");
  const selfSigned = ["kind", "minikube", "Docker Desktop"].includes(distribution ?? "");
  return {
    why: [
      "Prometheus measures containers at the kubelets. The range has the nodes that there are now; widen it if nodes may get other addresses.",
      ...(selfSigned
        ? [`In ${distribution}, each kubelet signs its own certificate, so certificates aren't verified.`]
        : []),
      ...(!signed && !selfSigned
        ? [
            "If the kubelets' certificates are not of the cluster's CA, Prometheus can't read them; then set verifyCertificates: false.",
          ]
        : []),
    ],
    keys: {
      prometheus: {
        kubelets: {
          nodes: rangesOf(nodes.flatMap(({ addresses }) => addresses)),
          ...(selfSigned && { verifyCertificates: false }),
        },
      },
    },
  };
}

function autoscalerChoice(seen: Seen, ownAdapter: string | undefined): Choice {
  const [external, custom] = [serverOf(seen, "external.metrics.k8s.io"), serverOf(seen, "custom.metrics.k8s.io")];
  if (external !== undefined && /\/keda-/.test(external))
    return {
      why: [`KEDA scales the pods, because it serves external.metrics.k8s.io (${external}).`],
      keys: { autoscaler: "keda", keda: { namespace: external.split("/")[0] } },
    };
  const other = [external, custom].find((server) => server !== undefined && server !== ownAdapter);
  if (other !== undefined)
    return {
      why: [
        `${other} serves metrics for autoscalers already, and a cluster allows one server for each API. So nothing scales the pods yet: see docs/monitoring.md#where-another-has-these-apis.`,
      ],
      keys: { autoscaler: "off" },
    };
  return { why: ["HorizontalPodAutoscalers scale the pods, by the metrics of the stack's adapter."] };
}
