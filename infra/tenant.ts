import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { TenantConfig } from "./config/tenant.ts";
import type { ApiEndpoint } from "./kubernetes/api-endpoints.ts";
import { labels, tenantLabel } from "./kubernetes/labels.ts";
import { restrictedNamespace } from "./kubernetes/security.ts";
import { resourceQuota, sessionLimits } from "./tenant-limits.ts";
import { tenantPolicies } from "./tenant-network.ts";
import { keyHash, type TenantEntry } from "./tenants-file.ts";
import { workerServiceAccount } from "./worker.ts";

export interface TenantArgs {
  tenant: TenantConfig;
  /** The namespace of the API and the worker. */
  platformNamespace: pulumi.Input<string>;
  /** Addresses of the Kubernetes API, which sessions never reach. */
  kubernetesApi: pulumi.Input<ApiEndpoint[]>;
}

/** What the worker calls in a tenant's namespace (`CoreApi` in runtime/src/pods/kubernetes.ts), and nothing more. */
const workerRules = [
  { apiGroups: [""], resources: ["secrets"], verbs: ["get", "create", "delete"] },
  { apiGroups: [""], resources: ["pods"], verbs: ["get", "list", "watch", "create", "delete"] },
  { apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: ["get", "create", "delete"] },
];

/** A tenant: the namespace of its sessions, what they may use and reach, and its API key. */
export class Tenant extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;
  /** The tenant's API key; only its hash enters the cluster. */
  readonly key: pulumi.Output<string>;
  /** What the runtime knows of the tenant. */
  readonly entry: pulumi.Output<TenantEntry>;

  constructor(name: string, args: TenantArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Tenant", name, {}, opts);
    const parent = { parent: this };
    const { tenant } = args;
    const tenantLabels = { ...labels("tenant"), [tenantLabel]: tenant.name };

    const namespace = new k8s.core.v1.Namespace(
      name,
      { metadata: { name: `tenant-${tenant.name}`, labels: { ...tenantLabels, ...restrictedNamespace } } },
      parent,
    );
    this.namespace = namespace.metadata.name;
    // They go with the namespace and not before it, so that no session that still runs is ever without its policies.
    const inside = { parent: this, deletedWith: namespace };
    const meta = (objectName: string) => ({ name: objectName, namespace: this.namespace, labels: tenantLabels });

    const policies = tenantPolicies(tenant, args.platformNamespace, args.kubernetesApi);
    for (const [policy, spec] of Object.entries(policies))
      new k8s.networking.v1.NetworkPolicy(`${name}-${policy}`, { metadata: meta(policy), spec }, inside);

    new k8s.core.v1.ResourceQuota(
      `${name}-quota`,
      { metadata: meta("sessions"), spec: { hard: resourceQuota(tenant.quota) } },
      inside,
    );
    new k8s.core.v1.LimitRange(
      `${name}-limits`,
      { metadata: meta("sessions"), spec: { limits: sessionLimits(tenant.workspace) } },
      inside,
    );
    const account = new k8s.core.v1.ServiceAccount(
      `${name}-agent-runner`,
      { metadata: meta("agent-runner"), automountServiceAccountToken: false },
      inside,
    );
    const { modelEndpoint } = tenant.agentConfig;
    new k8s.core.v1.ConfigMap(
      `${name}-agent-config`,
      { metadata: meta("agent-config"), data: modelEndpoint === undefined ? {} : { MODEL_ENDPOINT: modelEndpoint } },
      inside,
    );
    const role = new k8s.rbac.v1.Role(
      `${name}-runtime`,
      { metadata: meta("berth-runtime"), rules: workerRules },
      inside,
    );
    new k8s.rbac.v1.RoleBinding(
      `${name}-runtime`,
      {
        metadata: meta("berth-runtime"),
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: role.metadata.name },
        subjects: [{ kind: "ServiceAccount", name: workerServiceAccount, namespace: args.platformNamespace }],
      },
      inside,
    );

    const random32 = new random.RandomPassword(`${name}-key`, { length: 32, special: false }, parent);
    this.key = pulumi.interpolate`berth_${tenant.name}_${random32.result}`;
    this.entry = pulumi
      .all([this.namespace, account.metadata.name, pulumi.unsecret(this.key.apply(keyHash))])
      .apply(([tenantNamespace, serviceAccount, sha256]) => ({
        name: tenant.name,
        namespace: tenantNamespace,
        keys: [{ name: "default", sha256 }],
        serviceAccount,
        workspace: tenant.workspace,
        runtimeClassName: tenant.runtimeClassName,
      }));
    this.registerOutputs({ namespace: this.namespace });
  }
}
