import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { registryLoginSecret } from "../images/registry-login.ts";
import { ciliumPolicy } from "../kubernetes/cilium.ts";
import { labels } from "../kubernetes/labels.ts";
import { dataOptions } from "../kubernetes/protect.ts";
import { restrictedNamespace } from "../kubernetes/security.ts";
import { platformCiliumPolicies } from "./cilium-policies.ts";
import { platformPolicies, type Reachable } from "./network-policies.ts";

export type PlatformArgs = Reachable & Pick<Config, "namespace" | "protectData" | "registryLogins">;

/**
 * The platform's namespace and its network policies. All workloads in the namespace must depend on this component, so that the
 * policies exist before the first pod.
 */
export class Platform extends pulumi.ComponentResource {
  readonly namespace: pulumi.Output<string>;

  constructor(name: string, args: PlatformArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Platform", name, {}, opts);
    const namespace = new k8s.core.v1.Namespace(
      `${name}-namespace`,
      { metadata: { name: args.namespace, labels: { ...labels("platform"), ...restrictedNamespace } } },
      { parent: this, ...dataOptions(args.protectData) },
    );
    this.namespace = namespace.metadata.name;
    // On a destroy, Pulumi deletes only the namespace, so that Pulumi does not delete the policies while pods run. Kubernetes
    // then deletes the policies: from version 1.33 on after the namespace's pods, in older versions in any order.
    const inside = { parent: this, deletedWith: namespace };
    const meta = (policy: string) => ({ name: policy, namespace: this.namespace, labels: labels("platform") });
    for (const [policy, spec] of Object.entries(platformPolicies(args)))
      new k8s.networking.v1.NetworkPolicy(`${name}-${policy}`, { metadata: meta(policy), spec }, inside);
    for (const [policy, spec] of Object.entries(platformCiliumPolicies(args)))
      ciliumPolicy(`${name}-cilium-${policy}`, meta(policy), spec, inside);
    if (args.registryLogins.length > 0)
      registryLoginSecret(
        `${name}-registry-login`,
        (secret) => ({ name: secret, namespace: this.namespace, labels: labels("platform") }),
        args.registryLogins,
        { parent: this },
      );
    this.registerOutputs({ namespace: this.namespace });
  }
}
