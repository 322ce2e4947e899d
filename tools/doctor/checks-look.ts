/** Checks that compare the config with what the cluster has. They change nothing. */
import { contains, rangeOfAddress } from "../../infra/config/cidr.ts";
import type { Config } from "../../infra/config/config.ts";
import { builtImages } from "../../infra/config/images.ts";
import type { GatewayRouteConfig } from "../../infra/config/ingress.ts";
import { isLoopback } from "../../infra/images/base-images/pinned.ts";
import { isTooOld, oldestKubernetes } from "../../infra/kubernetes/version.ts";
import { apiConflicts, unnamedApi, unopenedApi } from "../../infra/platform/conflicts.ts";
import { distributionOf, isOnThisMachine, type Seen, serverOf } from "../cluster/seen.ts";
import { type Check, failed, labelOf, ok, skipped, type Verdict } from "./check.ts";
import { access, issuerFault, kinds, names, nodes, priorityClasses, secrets } from "./checks-needs.ts";
import { volumesOf } from "./grounds.ts";

/** Whether the cluster is the stack's own. If not, no other check runs. */
export const identity: Check = {
  name: "cluster",
  needs: "cluster",
  run({ config, seen, stack }) {
    if (config.clusterId !== null && config.clusterId !== seen.id)
      return failed(
        `the config's kubeconfig and context lead to the cluster ${seen.id}, but clusterId is ${config.clusterId}`,
        "correct `context` or `kubeconfig`",
      );
    const other = seen.berths.find((one) => one.namespace === config.namespace && one.stack !== labelOf(stack));
    if (other !== undefined)
      return failed(
        `the namespace ${other.namespace} already has the Berth of the stack ${other.stack}`,
        "set `namespace`, `tenantPrefix` and the names of `priorityClasses` (docs/your-cluster.md#two-stacks-in-one-cluster), or choose another cluster",
      );
    const guard = config.clusterId === null ? ". Only the context's name identifies the cluster; set clusterId" : "";
    return ok(`${distributionOf(seen) ?? "Kubernetes"} with the UID ${seen.id}${guard}`);
  },
};

const version: Check = {
  name: "version",
  needs: "cluster",
  run: ({ seen }) =>
    isTooOld(seen.version)
      ? failed(`Kubernetes ${seen.version} is too old`, `upgrade to ${oldestKubernetes} or newer`)
      : ok(`Kubernetes ${seen.version}`),
};

const registry: Check = {
  name: "registry",
  needs: "cluster",
  async run({ config, seen, tries }) {
    const built = builtImages(config.images);
    if (built.length === 0) return ok("all images are finished, so nothing is built or pushed");
    if (/example\.(com|org|net)\b|^ghcr\.io\/you\//.test(config.registry))
      return failed(`registry is ${config.registry}, which is an example`, "set `registry` to a registry of yours");
    if (isLoopback(config.registry) && seen.localRegistry === null && !hasOwnMirror(config, seen))
      return failed(
        `registry is ${config.registry}, which the nodes reach only if they run on this machine`,
        "set a registry that the nodes can reach",
      );
    if (!(await tries.docker()))
      return failed(
        `Docker doesn't answer, and it builds the images ${built.join(", ")}`,
        "start Docker, or set DOCKER_HOST, or name finished images (docs/images.md)",
      );
    const [host] = config.registry.split("/");
    const url = `${isLoopback(config.registry) ? "http" : "https"}://${host}/v2/`;
    // Every answer will do, for example 401, because only Docker has the login.
    if ((await tries.status(url)) === undefined)
      return skipped(
        `${url} doesn't answer this machine; if Docker doesn't reach the registry by a proxy or with a certificate of its own, correct \`registry\``,
      );
    return ok(`Docker builds ${built.join(", ")} and pushes them to ${config.registry}, which answers this machine`);
  },
};

/**
 * Whether the nodes can use a registry on loopback, because base images come from loopback too or the cluster runs on this
 * machine.
 */
const hasOwnMirror = ({ baseRegistry }: Config, seen: Seen) =>
  isLoopback(baseRegistry) || isOnThisMachine(distributionOf(seen));

/** The StorageClasses that the config's volumes name. Null means the cluster's default StorageClass. */
export const storageClassesOf = (config: Config): (string | null)[] => [
  ...new Set(volumesOf(config).map(({ storageClass }) => storageClass)),
];

const storageClasses: Check = {
  name: "storage classes",
  needs: "cluster",
  run({ config, seen }) {
    const names = seen.storageClasses.map(({ name }) => name);
    for (const wanted of storageClassesOf(config)) {
      if (wanted === null && !seen.storageClasses.some(({ isDefault }) => isDefault))
        return failed(
          `a volume names no StorageClass, and the cluster has no default one (it has: ${names.join(", ") || "none"})`,
          "name one at each volume, or make one the default (kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true)",
        );
      if (wanted !== null && !names.includes(wanted))
        return failed(
          `the cluster has no StorageClass ${wanted} (it has: ${names.join(", ") || "none"})`,
          "correct the volume's `storageClass`",
        );
    }
    return ok("each volume's StorageClass exists");
  },
};

const apis: Check = {
  name: "metrics APIs",
  needs: "cluster",
  async run({ config, seen, tries }) {
    const { autoscalers } = await tries.facts();
    const [first] = apiConflicts(config, { apis: seen.apis, autoscalers, unread: {} });
    if (first !== undefined) return failed(first.replace(/\.$/, ""), "change the config as this line says");
    if (
      config.autoscaler !== "off" &&
      !config.adapter.resourceMetrics &&
      serverOf(seen, "metrics.k8s.io") === undefined
    )
      return failed(
        "nobody serves CPU and memory (metrics.k8s.io), so autoscalers don't work",
        "install metrics-server, or set `adapter.resourceMetrics: true`",
      );
    return ok(`the cluster allows what autoscaler: ${config.autoscaler} needs`);
  },
};

const addresses: Check = {
  name: "addresses",
  needs: "cluster",
  run({ config, seen, stack }) {
    const [unnamed] = unnamedApi(config, { apiServers: seen.apiServers, unread: {} }, labelOf(stack));
    if (unnamed !== undefined) return failed(unnamed.replace(/\.$/, ""), "change the config as this line says");
    const unopened = unopenedApi(config, seen.apiServers);
    if (unopened.length > 0)
      return failed(
        `the API server is at ${unopened.join(", ")}, outside of \`kubernetesApi\``,
        "add the range to `kubernetesApi`",
      );
    const ranges = config.prometheus.kubelets?.nodes;
    const outside = seen.nodes.filter(
      (node) =>
        ranges && !node.addresses.some((address) => ranges.some((range) => contains(range, rangeOfAddress(address)))),
    );
    if (outside.length > 0)
      return failed(
        `the nodes ${outside.map(({ name }) => name).join(", ")} have no address in the ranges of \`prometheus.kubelets.nodes\`, so Prometheus can't reach their kubelets`,
        "widen the range",
      );
    return ok("the network policies contain the addresses of the API server and of the nodes");
  },
};

/** The verdict if the Gateway does not, or may not, take routes of the platform's namespace; undefined if it takes them. */
function gatewayFault(
  wanted: GatewayRouteConfig["gateway"],
  { gateways }: Seen,
  platform: string,
): Verdict | undefined {
  const { name, namespace, listener, sandboxListener } = wanted;
  const correct = "make it, or correct `ingress.gateway`";
  const gateway = gateways.find((one) => one.name === name && one.namespace === namespace);
  if (gateway === undefined) {
    const there = gateways.map((one) => `${one.namespace}/${one.name}`).join(", ") || "none";
    return failed(`the cluster has no Gateway ${name} in the namespace ${namespace} (it has: ${there})`, correct);
  }
  const has = gateway.listeners.map((one) => one.name);
  const missing = [listener, sandboxListener].find((one) => one !== undefined && !has.includes(one));
  if (missing !== undefined)
    return failed(`the Gateway ${name} has no listener ${missing} (it has: ${has.join(", ") || "none"})`, correct);
  const takes = (...from: string[]) => gateway.listeners.some(({ routesFrom }) => from.includes(routesFrom));
  if (!takes("all namespaces", "selected namespaces"))
    return failed(
      `no listener of the Gateway ${name} takes routes from the namespace ${platform}`,
      `allow the namespace ${platform} in the listeners' \`allowedRoutes.namespaces\``,
    );
  if (!takes("all namespaces"))
    return skipped(
      `the Gateway ${name} takes routes of selected namespaces only; look whether the labels of ${platform} are among the selected ones`,
    );
  return undefined;
}

const ingress: Check = {
  name: "ingress",
  needs: "cluster",
  async run({ config, seen, tries }) {
    const { ingress, namespace: platform } = config;
    if (ingress === null) return skipped("the stack has no Ingress");
    const guard =
      ingress.controllerNamespace === null ? ", which any pod may bypass, because controllerNamespace is null" : "";
    if (ingress.controller === "gateway-api") {
      const fault = gatewayFault(ingress.gateway, seen, platform);
      return fault ?? ok(`the Gateway ${ingress.gateway.name} takes routes from other namespaces${guard}`);
    }
    const { controller, className = controller } = ingress;
    const classes = seen.ingressClasses.map(({ name }) => name);
    if (!classes.includes(className))
      return failed(
        `the cluster has no IngressClass ${className} (it has: ${classes.join(", ") || "none"})`,
        "install the controller, or correct `ingress.className`",
      );
    const { issuers } = await tries.facts();
    const fault = issuerFault(config, seen.clusterIssuers, issuers);
    return fault ?? ok(`the IngressClass ${className} exists${guard}`);
  },
};

const runtimeClasses: Check = {
  name: "runtime classes",
  needs: "cluster",
  run({ config, seen }) {
    const missing = config.tenants.filter(
      ({ runtimeClassName }) => runtimeClassName !== null && !seen.runtimeClasses.includes(runtimeClassName),
    );
    return missing.length > 0
      ? failed(
          `the cluster doesn't have ${missing.map(({ name, runtimeClassName }) => `${runtimeClassName} of the tenant ${name}`).join(", ")}`,
          "install the runtime, or correct `runtimeClassName`",
        )
      : ok("each tenant's RuntimeClass exists");
  },
};

export const lookChecks: Check[] = [
  version,
  access,
  nodes,
  registry,
  storageClasses,
  names,
  priorityClasses,
  secrets,
  kinds,
  apis,
  addresses,
  ingress,
  runtimeClasses,
];
