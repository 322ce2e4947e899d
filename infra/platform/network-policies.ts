/** All NetworkPolicies of the platform's namespace. Traffic that no policy allows is denied, in both directions. */

import type { types } from "@pulumi/kubernetes";
import { adapterApis } from "../config/adapter-apis.ts";
import type { Config } from "../config/config.ts";
import { closedRanges } from "../config/network.ts";
import type { ExternalStore } from "../config/stores.ts";
import { egressOpenings } from "../kubernetes/egress.ts";
import { selector, sessionSelector, tenantLabel } from "../kubernetes/labels.ts";
import {
  allowDns,
  allowEgress,
  allowIngress,
  denyAll,
  type Opening,
  pods,
  podsIn,
  tcp,
  toAddresses,
} from "../kubernetes/network.ts";

const api = selector("api");
const gateway = selector("gateway");
const worker = selector("worker");
const migrate = selector("migrate");
const cleanup = selector("cleanup");
const postgres = selector("postgres");
const backup = selector("backup");
const redis = selector("redis");
const prometheus = selector("prometheus");
const adapter = selector("prometheus-adapter");
const postgresExporter = selector("postgres-exporter");
const redisExporter = selector("redis-exporter");
const grafana = selector("grafana");

/** A peer: the sessions' pods in the namespaces of all tenants. */
const sessions = {
  namespaceSelector: { matchExpressions: [{ key: tenantLabel, operator: "Exists" }] },
  podSelector: { matchLabels: sessionSelector },
};

/** An opening to the sessions' desktops (6080) and to berthd's services in the sessions (6082). */
const toSessions = { to: [sessions], ports: tcp(6080, 6082) };

const toHttpOf = (component: Record<string, string>) => ({ to: [pods(component)], ports: tcp(3000) });

const toPrometheus = { to: [pods(prometheus)], ports: tcp(9090) };

/** Openings to a store: to the pods of the bundled store, or to the addresses and pods of the external one. */
const toStore = (external: ExternalStore | null, bundled: Record<string, string>, port: number): Opening[] =>
  external
    ? [
        ...toAddresses(external.addresses),
        ...external.pods.map(({ namespace, labels, port }) => ({ to: [podsIn(namespace, labels)], ports: tcp(port) })),
      ]
    : [{ to: [pods(bundled)], ports: tcp(port) }];

/** The keys of the config on which the network policies depend. */
export type Reachable = Pick<
  Config,
  | "postgres"
  | "redis"
  | "gateway"
  | "egress"
  | "network"
  | "kubernetesApi"
  | "ingress"
  | "sandboxUrl"
  | "prometheus"
  | "adapter"
  | "autoscaler"
  | "keda"
  | "grafana"
>;

/** The specs of the network policies, by name. */
export function platformPolicies(config: Reachable): Record<string, types.input.networking.v1.NetworkPolicySpec> {
  const controller = config.ingress?.controllerNamespace ?? null;
  const users = controller === null ? [] : [podsIn(controller, {})];
  const { kubelets, alertmanager } = config.prometheus;
  const readers = new Set([
    ...config.prometheus.readers,
    ...(config.autoscaler === "keda" ? [config.keda.namespace] : []),
  ]);
  const toKubernetes = toAddresses(config.kubernetesApi);
  const toPostgres = toStore(config.postgres.external, postgres, 5432);
  const toRedis = toStore(config.redis.external, redis, 6379);
  const toOthers = egressOpenings(config.egress, closedRanges(config));
  const hasGateway = config.gateway !== "inside";
  /** With `sessionHistory`, the gateway's pods may query Prometheus, because they answer calls for the history of metrics. */
  const history = config.prometheus.sessionHistory ? [toPrometheus] : [];
  const runtime = hasGateway ? [api, gateway, worker] : [api, worker];
  /** The ports for requests from outside the cluster, on the gateway's pods or, with the gateway inside, on the API's pods. */
  const ofUsers = tcp(3000, ...(config.sandboxUrl === null ? [] : [3003]));
  const wayIn: Record<string, types.input.networking.v1.NetworkPolicySpec> = hasGateway
    ? {
        "api-ingress": allowIngress(api, tcp(3000), [pods(gateway)]),
        "api-websocket-ingress": allowIngress(api, tcp(3001), users),
        "api-egress": allowEgress(api, [...toPostgres, ...toRedis, toHttpOf(gateway), ...toOthers]),
        "gateway-ingress": allowIngress(gateway, ofUsers, users.length > 0 ? [...users, pods(api)] : []),
        "gateway-session-ingress": allowIngress(gateway, tcp(3002), [sessions]),
        "gateway-metrics-ingress": allowIngress(gateway, tcp(3000), [pods(prometheus)]),
        "gateway-egress": allowEgress(gateway, [
          ...toPostgres,
          ...toRedis,
          toHttpOf(api),
          toSessions,
          ...history,
          ...toKubernetes,
          ...toOthers,
        ]),
      }
    : {
        "api-ingress": allowIngress(api, [...ofUsers, ...tcp(3001)], users),
        "api-egress": allowEgress(api, [
          ...toPostgres,
          ...toRedis,
          toSessions,
          ...history,
          ...toKubernetes,
          ...toOthers,
        ]),
      };
  return {
    "deny-all": denyAll,
    "allow-dns": allowDns(config.network.dns),
    ...wayIn,
    "api-session-ingress": allowIngress(api, tcp(3002), [sessions]),
    "api-metrics-ingress": allowIngress(api, tcp(3000), [pods(prometheus)]),
    "worker-ingress": allowIngress(worker, tcp(3000), [pods(prometheus)]),
    "worker-egress": allowEgress(worker, [...toPostgres, ...toRedis, ...toKubernetes, ...toOthers]),
    "migrate-egress": allowEgress(migrate, toPostgres),
    "backup-egress": allowEgress(backup, toPostgres),
    "cleanup-egress": allowEgress(cleanup, [...toPostgres, ...toRedis]),
    "postgres-ingress": allowIngress(
      postgres,
      tcp(5432),
      [...runtime, migrate, cleanup, backup, postgresExporter].map(pods),
    ),
    "redis-ingress": allowIngress(redis, tcp(6379), [...runtime, cleanup, redisExporter].map(pods)),
    "prometheus-ingress": allowIngress(prometheus, tcp(9090), [
      pods(adapter),
      pods(grafana),
      ...(history.length > 0 ? [pods(hasGateway ? gateway : api)] : []),
      ...[...readers].map((name) => podsIn(name)),
    ]),
    "prometheus-egress": allowEgress(prometheus, [
      { to: runtime.map(pods), ports: tcp(3000) },
      { to: [pods(postgresExporter)], ports: tcp(9187) },
      { to: [pods(redisExporter)], ports: tcp(9121) },
      { to: [pods(adapter)], ports: tcp(6443) },
      { to: [sessions], ports: tcp(6081) },
      ...toKubernetes,
      ...toAddresses((kubelets?.nodes ?? []).map((cidr) => ({ cidr, port: 10250 }))),
      ...(alertmanager ? [{ to: [podsIn(alertmanager.namespace)], ports: tcp(alertmanager.port) }] : []),
    ]),
    "postgres-exporter-ingress": allowIngress(postgresExporter, tcp(9187), [pods(prometheus)]),
    "postgres-exporter-egress": allowEgress(postgresExporter, toPostgres),
    "redis-exporter-ingress": allowIngress(redisExporter, tcp(9121), [pods(prometheus)]),
    "redis-exporter-egress": allowEgress(redisExporter, toRedis),
    ...(config.grafana && { "grafana-egress": allowEgress(grafana, [toPrometheus]) }),
    ...(adapterApis(config).length > 0 && {
      // Any address may call the adapter, because the addresses of Kubernetes' control plane are unknown. The adapter
      // authenticates its callers.
      "prometheus-adapter-ingress": allowIngress(adapter, tcp(6443)),
      "prometheus-adapter-egress": allowEgress(adapter, [toPrometheus, ...toKubernetes]),
    }),
  };
}
