import { selector, sessionSelector, tenantLabel } from "./kubernetes/labels.ts";
import { allowDns, allowEgress, allowIngress, denyAll, pods, tcp } from "./kubernetes/network.ts";
const api = selector("api");
const worker = selector("worker");
const migrate = selector("migrate");
const cleanup = selector("cleanup");
const postgres = selector("postgres");
const backup = selector("backup");
const redis = selector("redis");
/** The sessions' pods, in the namespaces of all tenants. */
const sessions = {
    namespaceSelector: { matchExpressions: [{ key: tenantLabel, operator: "Exists" }] },
    podSelector: { matchLabels: sessionSelector },
};
const toDesktops = { to: [sessions], ports: tcp(6080) };
const toAddresses = (addresses) => addresses.map(({ cidr, port }) => ({ to: [{ ipBlock: { cidr } }], ports: tcp(port) }));
/** The bundled store's pods, or where the external one answers. */
const toStore = (external, bundled, port) => external ? toAddresses(external.addresses) : [{ to: [pods(bundled)], ports: tcp(port) }];
/** @param kubernetesApi addresses of the Kubernetes API, for those who call it */
export function platformPolicies(config, kubernetesApi) {
    const toKubernetes = toAddresses(kubernetesApi);
    const toPostgres = toStore(config.postgres.external, postgres, 5432);
    const toRedis = toStore(config.redis.external, redis, 6379);
    const toOthers = config.egress.map(({ cidr, ports }) => ({ to: [{ ipBlock: { cidr } }], ports: tcp(...ports) }));
    return {
        "deny-all": denyAll,
        "allow-dns": allowDns,
        "api-ingress": allowIngress(api, tcp(3000, 3001)),
        "api-session-ingress": allowIngress(api, tcp(3002), [sessions]),
        "api-egress": allowEgress(api, [...toPostgres, ...toRedis, toDesktops, ...toKubernetes, ...toOthers]),
        "worker-egress": allowEgress(worker, [...toPostgres, ...toRedis, ...toKubernetes, ...toOthers]),
        "migrate-egress": allowEgress(migrate, toPostgres),
        "backup-egress": allowEgress(backup, toPostgres),
        "cleanup-egress": allowEgress(cleanup, [...toPostgres, ...toRedis]),
        "postgres-ingress": allowIngress(postgres, tcp(5432), [api, worker, migrate, cleanup, backup].map(pods)),
        "redis-ingress": allowIngress(redis, tcp(6379), [api, worker, cleanup].map(pods)),
    };
}
