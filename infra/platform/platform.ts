import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { registryLoginSecret } from "../images/registry-login.ts";
import type { ApiEndpoint } from "../kubernetes/api-endpoints.ts";
import { labels } from "../kubernetes/labels.ts";
import { dataOptions } from "../kubernetes/protect.ts";
import { restrictedNamespace } from "../kubernetes/security.ts";
import { platformPolicies, type Reachable } from "./network-policies.ts";

export interface PlatformArgs extends Reachable, Pick<Config, "protectData" | "registryLogins"> {
  /** Addresses of the Kubernetes API, which API and worker may reach. */
  kubernetesApi: pulumi.Input<ApiEndpoint[]>;
}

/** The namespace of API, worker and stores. */
export const platformNamespace = "berth";

/** The platform's namespace and its network. All that runs in it must depend on it: policies come before the first pod. */
export class Platform extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: PlatformArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Platform", name, {}, opts);
    const namespace = new k8s.core.v1.Namespace(
      platformNamespace,
      { metadata: { name: platformNamespace, labels: { ...labels("platform"), ...restrictedNamespace } } },
      { parent: this, ...dataOptions(args.protectData) },
    );
    this.namespace = namespace.metadata.name;
    for (const [policy, spec] of Object.entries(platformPolicies(args, args.kubernetesApi)))
      new k8s.networking.v1.NetworkPolicy(
        `${name}-${policy}`,
        {
          metadata: { name: policy, namespace: this.namespace, labels: labels("platform") },
          spec,
        },
        // Not before the pods that it guards.
        { parent: this, deletedWith: namespace },
      );
    if (args.registryLogins.length > 0)
      registryLoginSecret(
        "registry-login",
        (secret) => ({ name: secret, namespace: this.namespace, labels: labels("platform") }),
        args.registryLogins,
        { parent: this },
      );
    this.registerOutputs({ namespace: this.namespace });
  }
}
