import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ApiEndpoint } from "./kubernetes/api-endpoints.ts";
import { labels, selector, sessionSelector, tenantLabel } from "./kubernetes/labels.ts";
import { allowDns, allowEgress, allowIngress, denyAll, pods, tcp } from "./kubernetes/network.ts";
import { restrictedNamespace } from "./kubernetes/security.ts";

export interface PlatformArgs {
  /** Addresses of the Kubernetes API, which the worker may reach. */
  kubernetesApi: pulumi.Input<ApiEndpoint[]>;
}

/** The namespace of API, worker and stores. */
export const platformNamespace = "berth";

const [api, worker, migrate, postgres, redis] = (["api", "worker", "migrate", "postgres", "redis"] as const).map(
  selector,
) as [Selector, Selector, Selector, Selector, Selector];
type Selector = ReturnType<typeof selector>;

const toPostgres = { to: [pods(postgres)], ports: tcp(5432) };
const toRedis = { to: [pods(redis)], ports: tcp(6379) };
const toSessions = {
  to: [
    {
      namespaceSelector: { matchExpressions: [{ key: tenantLabel, operator: "Exists" }] },
      podSelector: { matchLabels: sessionSelector },
    },
  ],
  ports: tcp(6080),
};

/** Who may talk to whom in the platform's namespace. All that is not named here is denied, in both directions. */
const policies = (kubernetesApi: ApiEndpoint[]) => ({
  "deny-all": denyAll,
  "allow-dns": allowDns,
  "api-ingress": allowIngress(api, tcp(3000, 3001)),
  "api-egress": allowEgress(api, [toPostgres, toRedis, toSessions]),
  "worker-egress": allowEgress(worker, [
    toPostgres,
    toRedis,
    ...kubernetesApi.map(({ cidr, port }) => ({ to: [{ ipBlock: { cidr } }], ports: tcp(port) })),
  ]),
  "migrate-egress": allowEgress(migrate, [toPostgres]),
  "postgres-ingress": allowIngress(postgres, tcp(5432), [pods(api), pods(worker), pods(migrate)]),
  "redis-ingress": allowIngress(redis, tcp(6379), [pods(api), pods(worker)]),
});

/** The platform's namespace and its network. All that runs in it must depend on it: policies come before the first pod. */
export class Platform extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: PlatformArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Platform", name, {}, opts);
    const namespace = new k8s.core.v1.Namespace(
      platformNamespace,
      { metadata: { name: platformNamespace, labels: { ...labels("platform"), ...restrictedNamespace } } },
      { parent: this },
    );
    this.namespace = namespace.metadata.name;
    const specs = pulumi.output(args.kubernetesApi).apply(policies);
    for (const policy of Object.keys(policies([])) as (keyof ReturnType<typeof policies>)[])
      new k8s.networking.v1.NetworkPolicy(
        `${name}-${policy}`,
        {
          metadata: { name: policy, namespace: this.namespace, labels: labels("platform") },
          spec: specs[policy],
        },
        // Not before the pods that it guards.
        { parent: this, deletedWith: namespace },
      );
    this.registerOutputs({ namespace: this.namespace });
  }
}
