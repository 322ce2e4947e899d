import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { hasImagePuller, pullsDesktop } from "../config/image-pullers.ts";
import type { RegistryLogin } from "../config/images.ts";
import { sessionPlacement } from "../config/placement.ts";
import { type TenantConfig, tenantNamespace } from "../config/tenant.ts";
import { ImagePuller, type PullerDefaults } from "../images/puller.ts";
import { pullSecretNames, registryLoginSecret } from "../images/registry-login.ts";
import { ciliumDns, ciliumPolicy } from "../kubernetes/cilium.ts";
import { labels, sessionSelector, tenantLabel } from "../kubernetes/labels.ts";
import { restrictedNamespace } from "../kubernetes/security.ts";
import { apiKeys } from "./api-keys.ts";
import { limitRange, objectQuota, podQuota } from "./limits.ts";
import { type Surroundings, tenantPolicies } from "./network-policies.ts";
import { rolesWith } from "./roles.ts";
import { type TenantEntry, tenantEntry } from "./tenants-file.ts";

export interface TenantArgs extends Surroundings {
  /** The beginning of the names of tenants' namespaces. */
  tenantPrefix: string;
  /** The tenant's entry in the config, including defaults. */
  tenant: TenantConfig;
  /** The logins for the pull secret `registry-login` of the sessions' image. Without logins there is no such Secret. */
  registryLogins: RegistryLogin[];
  /** The names of pull secrets that the stack does not make, in the tenant's namespace. */
  imagePullSecrets: string[];
  /** Whether nodes pull images before sessions need them. */
  prepullAgentImage: boolean;
  /** The image of the platform's desktop, by digest. */
  agentImage: pulumi.Input<string>;
  pullers: PullerDefaults;
  /** The config keys `placement` and `platform` of the stack, which say on which nodes sessions can run. */
  placement: Config["placement"];
  platform: Config["platform"];
}

/** The images that the tenant's image puller pulls, each once. */
const imagesToPull = (tenant: TenantConfig, desktop: pulumi.Input<string>) => [
  ...(pullsDesktop(tenant) ? [desktop] : []),
  ...new Set(tenant.images.map(({ image }) => image)),
];

/** A tenant: the namespace of its sessions with quota, network policies and permissions, and the tenant's API keys. */
export class Tenant extends pulumi.ComponentResource {
  readonly tenant: TenantConfig;
  readonly namespace: pulumi.Output<string>;
  /** The generated API keys, by name. Only their hashes are stored in the cluster. */
  readonly keys: Record<string, pulumi.Output<string>>;
  /** The tenant's entry in the tenants file of the runtime. */
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
          name: tenantNamespace(args, tenant),
          labels: { ...tenantLabels, ...restrictedNamespace },
          // This annotation tells the policy pack to allow the deletion of the namespace.
          ...(tenant.remove && { annotations: { "berth.dev/remove": "true" } }),
        },
      },
      // The namespace holds all of the tenant's data, so Pulumi refuses to delete it until the entry has `remove: true`.
      { parent: this, protect: !tenant.remove },
    );
    this.namespace = namespace.metadata.name;
    // To remove the tenant, Pulumi deletes only the namespace, so that Pulumi does not delete the network policies while
    // sessions run. Kubernetes then deletes these objects: from version 1.33 on after the namespace's pods, in older versions
    // in any order.
    const inside = { parent: this, deletedWith: namespace };
    const meta = (objectName: string) => ({ name: objectName, namespace: this.namespace, labels: tenantLabels });

    const gateway = args.gateway === "inside" ? "api" : "gateway";
    for (const [policy, spec] of Object.entries(tenantPolicies(tenant, args)))
      new k8s.networking.v1.NetworkPolicy(`${name}-${policy}`, { metadata: meta(policy), spec }, inside);
    if (args.network.policies === "cilium")
      for (const [policy, spec] of Object.entries(ciliumDns(args.network.dns, sessionSelector)))
        ciliumPolicy(`${name}-cilium-${policy}`, meta(policy), spec, inside);

    new k8s.core.v1.ResourceQuota(
      `${name}-pod-quota`,
      { metadata: meta("session-pods"), spec: podQuota(tenant.quota, args.pullers.priorityClassName) },
      inside,
    );
    const quota = new k8s.core.v1.ResourceQuota(
      `${name}-quota`,
      { metadata: meta("sessions"), spec: { hard: objectQuota(tenant.quota) } },
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
    const pullSecrets = [...new Set([...pullSecretNames(args), ...ofImages])];
    const account = new k8s.core.v1.ServiceAccount(
      `${name}-agent-runner`,
      {
        metadata: meta("agent-runner"),
        automountServiceAccountToken: false,
        // Kubernetes adds an account's pull secrets to the account's pods, so Berth's runtime does not need to know the secrets.
        ...(pullSecrets.length > 0 && { imagePullSecrets: pullSecrets.map((secret) => ({ name: secret })) }),
      },
      inside,
    );
    const placement = sessionPlacement(args, tenant.placement);
    const hasPuller = hasImagePuller(args, tenant);
    if (hasPuller)
      new ImagePuller(
        `${name}-image-puller`,
        {
          ...args.pullers,
          namespace: this.namespace,
          images: imagesToPull(tenant, args.agentImage),
          pullSecrets,
          runtimeClassName: tenant.runtimeClassName,
          placement,
          labels: { [tenantLabel]: tenant.name },
        },
        // The quota `sessions` that an earlier version made counts all pods, also the puller's. So `up` changes the quota first.
        { ...inside, dependsOn: quota },
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

    const { generated, hashes } = apiKeys(name, tenant.name, tenant.keys, platformNamespace, parent);
    this.keys = generated;
    this.entry = pulumi
      .all([this.namespace, account.metadata.name, hashes, pulumi.secret(tenant.webhooks)])
      .apply(([tenantNamespace, serviceAccount, hashes]) =>
        tenantEntry(tenant, {
          namespace: tenantNamespace,
          serviceAccount,
          hashes,
          placement,
          hasImagePuller: hasPuller,
        }),
      );
    this.registerOutputs({ namespace: this.namespace });
  }
}
