/** Who may talk to whom in the platform's namespace. All that is not named here is denied, in both directions. */
import type { ApiEndpoint } from "./kubernetes/api-endpoints.ts";
import { selector, sessionSelector, tenantLabel } from "./kubernetes/labels.ts";
import { allowDns, allowEgress, allowIngress, denyAll, pods, tcp } from "./kubernetes/network.ts";

const api = selector("api");
const worker = selector("worker");
const migrate = selector("migrate");
const cleanup = selector("cleanup");
const postgres = selector("postgres");
const redis = selector("redis");

/** The sessions' pods, in the namespaces of all tenants. */
const sessions = {
  namespaceSelector: { matchExpressions: [{ key: tenantLabel, operator: "Exists" }] },
  podSelector: { matchLabels: sessionSelector },
};

const toPostgres = { to: [pods(postgres)], ports: tcp(5432) };
const toRedis = { to: [pods(redis)], ports: tcp(6379) };
const toDesktops = { to: [sessions], ports: tcp(6080) };

/** @param kubernetesApi addresses of the Kubernetes API, for those who call it */
export function platformPolicies(kubernetesApi: ApiEndpoint[]) {
  const toKubernetes = kubernetesApi.map(({ cidr, port }) => ({ to: [{ ipBlock: { cidr } }], ports: tcp(port) }));
  return {
    "deny-all": denyAll,
    "allow-dns": allowDns,
    "api-ingress": allowIngress(api, tcp(3000, 3001)),
    "api-session-ingress": allowIngress(api, tcp(3002), [sessions]),
    "api-egress": allowEgress(api, [toPostgres, toRedis, toDesktops, ...toKubernetes]),
    "worker-egress": allowEgress(worker, [toPostgres, toRedis, ...toKubernetes]),
    "migrate-egress": allowEgress(migrate, [toPostgres]),
    "cleanup-egress": allowEgress(cleanup, [toPostgres, toRedis]),
    "postgres-ingress": allowIngress(postgres, tcp(5432), [api, worker, migrate, cleanup].map(pods)),
    "redis-ingress": allowIngress(redis, tcp(6379), [api, worker, cleanup].map(pods)),
  };
}
