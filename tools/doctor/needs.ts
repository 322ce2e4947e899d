/** What a stack's config needs of its cluster: objects that somebody else makes, and permissions. Everything here is pure. */
import { adapterApis } from "../../infra/config/adapter-apis.ts";
import type { Config } from "../../infra/config/config.ts";
import type { ClassicIngressConfig } from "../../infra/config/ingress.ts";
import { tenantNamespace } from "../../infra/config/tenant.ts";

/** A Secret that the config names and that the stack does not make. */
export interface NeededSecret {
  namespace: string;
  name: string;
  /** The keys that the Secret must have. */
  keys: string[];
  /** The key of the config that names the Secret. */
  key: string;
}

/** A kind of custom objects that the stack makes, or that the config names. */
export interface NeededKind {
  group: string;
  version: string;
  /** The kind's plural, as in the URLs of the Kubernetes API, for example httproutes. */
  resource: string;
  /** The key of the config for which the kind is needed, with its value. */
  key: string;
  /** Whether `up` makes objects of this kind. */
  isMade: boolean;
}

/** An issuer of cert-manager that the config names. */
export interface NeededIssuer {
  kind: "Issuer" | "ClusterIssuer";
  name: string;
  key: string;
}

/** What a user must be allowed to create, change and delete. */
export interface NeededRight {
  /** The API group of the kind. Empty: the core group. */
  group: string;
  /** The kind's plural, for example networkpolicies. */
  resource: string;
}

/** Everything that must be looked up in the cluster for this config. */
export interface Needs {
  /** The platform's namespace, which has the autoscalers and the Issuers. */
  namespace: string;
  secrets: NeededSecret[];
  kinds: NeededKind[];
  rights: NeededRight[];
}

export const needsOf = (config: Config): Needs => ({
  namespace: config.namespace,
  secrets: secretsOf(config),
  kinds: kindsOf(config),
  rights: rightsOf(config),
});

/** The certificates of an Ingress, each with its key. Empty for a Gateway, whose listeners have the certificates. */
function certificatesOf({ ingress, sandboxUrl }: Pick<Config, "ingress" | "sandboxUrl">) {
  if (ingress === null || ingress.controller === "gateway-api") return [];
  return (["tls", "sandboxTls"] as const).flatMap((name) => {
    const tls: ClassicIngressConfig["tls"] = name === "sandboxTls" && sandboxUrl === null ? null : ingress[name];
    return tls === null ? [] : [{ ...tls, key: `ingress.${name}`, annotations: ingress.annotations }];
  });
}

export const issuersOf = (config: Pick<Config, "ingress" | "sandboxUrl">): NeededIssuer[] =>
  certificatesOf(config).flatMap(({ issuer, clusterIssuer, key }) => [
    ...(issuer === null ? [] : [{ kind: "Issuer" as const, name: issuer, key: `${key}.issuer` }]),
    ...(clusterIssuer === null
      ? []
      : [{ kind: "ClusterIssuer" as const, name: clusterIssuer, key: `${key}.clusterIssuer` }]),
  ]);

export function secretsOf(config: Config): NeededSecret[] {
  const { namespace, postgres, redis, tokenKeys, adminKeys, imagePullSecrets } = config;
  const tenants = config.tenants.filter(({ remove }) => !remove);
  const here = (name: string | null | undefined, key: string, ...keys: string[]): NeededSecret[] =>
    name == null ? [] : [{ namespace, name, keys, key }];
  const pull = ".dockerconfigjson";
  const connection = ["host", "port", "password"];
  const ofKeys = (keys: { secret: string | null }[], path: string) =>
    keys.flatMap(({ secret }, index) => here(secret, `${path}[${index}].secret`, "key"));
  return [
    ...(postgres.external
      ? here(postgres.external.secret, "postgres.external.secret", ...connection, "database", "user")
      : here(postgres.passwordSecret, "postgres.passwordSecret", "password")),
    ...(redis.external
      ? here(redis.external.secret, "redis.external.secret", ...connection)
      : here(redis.passwordSecret, "redis.passwordSecret", "password")),
    ...here(config.tokenKeySecret, "tokenKeySecret", ...tokenKeyNames(tokenKeys)),
    ...ofKeys(adminKeys, "adminKeys"),
    ...config.tenants.flatMap(({ keys, remove }, index) => (remove ? [] : ofKeys(keys, `tenants[${index}].keys`))),
    ...certificatesOf(config)
      // cert-manager makes the Secret if the config names an issuer, or if the user's own annotations do so.
      .filter(({ issuer, clusterIssuer }) => issuer === null && clusterIssuer === null)
      .filter(({ annotations }) => !Object.keys(annotations).some((name) => name.startsWith("cert-manager.io/")))
      .flatMap(({ secretName, key }) => here(secretName, `${key}.secretName`, "tls.crt", "tls.key")),
    ...imagePullSecrets.flatMap((name) =>
      [namespace, ...tenants.map((tenant) => tenantNamespace(config, tenant))].map((where) => ({
        namespace: where,
        name,
        keys: [pull],
        key: "imagePullSecrets",
      })),
    ),
    ...config.tenants.flatMap((tenant, index) =>
      tenant.remove
        ? []
        : tenant.images.flatMap(({ pullSecret }, image) =>
            pullSecret === null
              ? []
              : [
                  {
                    namespace: tenantNamespace(config, tenant),
                    name: pullSecret,
                    keys: [pull],
                    key: `tenants[${index}].images[${image}].pullSecret`,
                  },
                ],
          ),
    ),
  ];
}

/** The keys of the Secret `tokenKeySecret`, from the oldest to the current one: token-key, token-key-2 and so on. */
const tokenKeyNames = ({ oldest, current }: Config["tokenKeys"]) =>
  Array.from({ length: current - oldest + 1 }, (_, index) => oldest + index).map((number) =>
    number === 1 ? "token-key" : `token-key-${number}`,
  );

export function kindsOf(config: Config): NeededKind[] {
  const { ingress, autoscaler, network } = config;
  const kind = (group: string, version: string, resource: string, key: string, isMade = true): NeededKind => ({
    group,
    version,
    resource,
    key,
    isMade,
  });
  const [issuer] = issuersOf(config);
  return [
    ...(network.policies === "cilium"
      ? [kind("cilium.io", "v2", "ciliumnetworkpolicies", "network.policies: cilium")]
      : []),
    ...(autoscaler === "keda" ? [kind("keda.sh", "v1alpha1", "scaledobjects", "autoscaler: keda")] : []),
    ...(ingress?.controller === "gateway-api"
      ? [kind("gateway.networking.k8s.io", "v1", "httproutes", "ingress.controller: gateway-api")]
      : []),
    ...(ingress?.controller === "traefik"
      ? [kind("traefik.io", "v1alpha1", "middlewares", "ingress.controller: traefik")]
      : []),
    ...(issuer ? [kind("cert-manager.io", "v1", "certificates", `${issuer.key}: ${issuer.name}`, false)] : []),
  ];
}

/** The kinds of which every stack has objects, by API group. */
const always: Record<string, string[]> = {
  "": ["namespaces", "configmaps", "secrets", "services", "serviceaccounts", "persistentvolumeclaims"],
  apps: ["deployments", "statefulsets", "daemonsets"],
  batch: ["jobs", "cronjobs"],
  "networking.k8s.io": ["networkpolicies"],
  policy: ["poddisruptionbudgets"],
  "rbac.authorization.k8s.io": ["roles", "rolebindings", "clusterroles", "clusterrolebindings"],
  "scheduling.k8s.io": ["priorityclasses"],
  "admissionregistration.k8s.io": ["validatingadmissionpolicies", "validatingadmissionpolicybindings"],
};

/** The kinds of the objects that `up` makes for this config. */
export function rightsOf(config: Config): NeededRight[] {
  const { ingress, autoscaler, tenants } = config;
  const wanted: Record<string, string[]>[] = [
    always,
    tenants.length > 0 ? { "": ["resourcequotas", "limitranges"] } : {},
    autoscaler === "hpa" ? { autoscaling: ["horizontalpodautoscalers"] } : {},
    adapterApis(config).length > 0 ? { "apiregistration.k8s.io": ["apiservices"] } : {},
    ingress !== null && ingress.controller !== "gateway-api" ? { "networking.k8s.io": ["ingresses"] } : {},
  ];
  return [
    ...wanted.flatMap((groups) =>
      Object.entries(groups).flatMap(([group, resources]) => resources.map((resource) => ({ group, resource }))),
    ),
    ...kindsOf(config).flatMap(({ group, resource, isMade }) => (isMade ? [{ group, resource }] : [])),
  ];
}
