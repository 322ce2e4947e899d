import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import type { RegistryLogin } from "../config/images.ts";
import type { TenantConfig } from "../config/tenant.ts";
import { pullSecretNames, registryLoginSecret } from "../images/registry-login.ts";
import type { ApiEndpoint } from "../kubernetes/api-endpoints.ts";
import { labels, tenantLabel } from "../kubernetes/labels.ts";
import { restrictedNamespace } from "../kubernetes/security.ts";
import { apiKeys } from "./api-keys.ts";
import { limitRange, resourceQuota } from "./limits.ts";
import { tenantPolicies } from "./network-policies.ts";
import { rolesWith } from "./roles.ts";
import { type TenantEntry, tenantEntry } from "./tenants-file.ts";

export interface TenantArgs {
  /** Its entry in the config, which has the defaults. */
  tenant: TenantConfig;
  /** The namespace of the API, the gateway and the worker. */
  platformNamespace: pulumi.Input<string>;
  /** Addresses of the Kubernetes API, which sessions never reach. */
  kubernetesApi: pulumi.Input<ApiEndpoint[]>;
  /** Which pods are the gateway: the API's own, or those of a Deployment. */
  gateway: Config["gateway"];
  /** Logins for the Secret `registry-login`, with which the sessions' image is pulled. None, no Secret. */
  registryLogins: RegistryLogin[];
  /** Secrets of the user's own in the tenant's namespace, for the same. */
  imagePullSecrets: string[];
}

/** A tenant: the namespace of its sessions, what they may use and reach, and its API keys. */
export class Tenant extends pulumi.ComponentResource {
  readonly tenant: TenantConfig;
  readonly namespace: pulumi.Output<string>;
  /** The generated API keys by their names; only their hashes enter the cluster. */
  readonly keys: Record<string, pulumi.Output<string>>;
  /** What the runtime knows of the tenant. */
  readonly entry: pulumi.Output<TenantEntry>;

  constructor(name: string, args: TenantArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Tenant", name, {}, opts);
    const parent = { parent: this };
    const { tenant, platformNamespace } = args;
    this.tenant = tenant;
    const tenantLabels = { ...labels("tenant"), [tenantLabel]: tenant.name };

    const namespace = new k8s.core.v1.Namespace(
      name,
      {
        metadata: {
          name: `tenant-${tenant.name}`,
          labels: { ...tenantLabels, ...restrictedNamespace },
          // The policy pack lets it go.
          ...(tenant.remove && { annotations: { "berth.dev/remove": "true" } }),
        },
      },
      // All of the tenant's data is in it: Pulumi itself refuses to delete it before its entry says so.
      { parent: this, protect: !tenant.remove },
    );
    this.namespace = namespace.metadata.name;
    // They go with the namespace and not before it, so that no session that still runs is ever without its policies.
    const inside = { parent: this, deletedWith: namespace };
    const meta = (objectName: string) => ({ name: objectName, namespace: this.namespace, labels: tenantLabels });

    const gateway = args.gateway === "inside" ? "api" : "gateway";
    const policies = tenantPolicies(tenant, platformNamespace, args.kubernetesApi, gateway);
    for (const [policy, spec] of Object.entries(policies))
      new k8s.networking.v1.NetworkPolicy(`${name}-${policy}`, { metadata: meta(policy), spec }, inside);

    new k8s.core.v1.ResourceQuota(
      `${name}-quota`,
      { metadata: meta("sessions"), spec: { hard: resourceQuota(tenant.quota) } },
      inside,
    );
    new k8s.core.v1.LimitRange(
      `${name}-limits`,
      { metadata: meta("sessions"), spec: { limits: limitRange(tenant.workspace) } },
      inside,
    );
    if (args.registryLogins.length > 0)
      registryLoginSecret(`${name}-registry-login`, meta, args.registryLogins, inside);
    const ofImages = tenant.images.flatMap(({ pullSecret }) => pullSecret ?? []);
    const pullSecrets = [...new Set([...pullSecretNames(args), ...ofImages])].map((secret) => ({ name: secret }));
    const account = new k8s.core.v1.ServiceAccount(
      `${name}-agent-runner`,
      {
        metadata: meta("agent-runner"),
        automountServiceAccountToken: false,
        // Kubernetes puts them into the pods that name the account, so that the runtime need not know of them.
        ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets }),
      },
      inside,
    );
    const { modelEndpoint } = tenant.agentConfig;
    new k8s.core.v1.ConfigMap(
      `${name}-agent-config`,
      { metadata: meta("agent-config"), data: modelEndpoint === undefined ? {} : { MODEL_ENDPOINT: modelEndpoint } },
      inside,
    );
    for (const { role, account, rules } of rolesWith(gateway)) {
      new k8s.rbac.v1.Role(`${name}-${role}`, { metadata: meta(role), rules }, inside);
      new k8s.rbac.v1.RoleBinding(
        `${name}-${role}`,
        {
          metadata: meta(role),
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role },
          subjects: [{ kind: "ServiceAccount", name: account, namespace: platformNamespace }],
        },
        inside,
      );
    }

    const { generated, hashes } = apiKeys(tenant.name, tenant.keys, platformNamespace, parent);
    this.keys = generated;
    this.entry = pulumi
      .all([this.namespace, account.metadata.name, hashes, pulumi.secret(tenant.webhooks)])
      .apply(([tenantNamespace, serviceAccount, hashes]) =>
        tenantEntry(tenant, { namespace: tenantNamespace, serviceAccount, hashes }),
      );
    this.registerOutputs({ namespace: this.namespace });
  }
}
