/** Checks that Kubernetes does not reserve the stack's namespaces, and that they separate the tenants from the platform. */
import type { z } from "zod";
import type { EgressRule } from "./egress.ts";
import { tenantNamespace } from "./tenant.ts";

interface Named {
  namespace: string;
  tenantPrefix: string;
  tenants: { name: string; egress: EgressRule[] }[];
}

/** The beginning of the names that Kubernetes keeps for its own namespaces. */
const reserved = "kube-";

/**
 * Refuses names of namespaces that Kubernetes reserves, a tenant whose namespace would be the platform's, and each rule of a
 * tenant's `egress` that names the platform's namespace or a tenant's. Tenants' namespaces are those with this stack's prefix, and
 * those with the default prefix, because another stack in the same cluster may use the default prefix.
 */
export function namespacesApart({ value, issues }: z.core.ParsePayload<Named>): void {
  const { namespace, tenantPrefix, tenants } = value;
  const fault = (path: PropertyKey[], input: string, message: string) =>
    issues.push({ code: "custom", input, path, message });
  if (namespace === "default" || namespace.startsWith(reserved))
    fault(["namespace"], namespace, "is a name that Kubernetes reserves; name a namespace for Berth alone");
  if (tenantPrefix.startsWith(reserved))
    fault(["tenantPrefix"], tenantPrefix, "begins with kube-, which Kubernetes reserves; choose another beginning");
  const prefixes = [tenantPrefix, "tenant-"];
  tenants.forEach((tenant, index) => {
    if (tenantNamespace(value, tenant) === namespace)
      fault(
        ["tenants", index, "name"],
        tenant.name,
        `gives the tenant the namespace ${namespace}, which is the platform's (\`namespace\`); use another name, or change \`tenantPrefix\``,
      );
    tenant.egress.forEach(({ pods }, rule) => {
      if (pods === null) return;
      const at = ["tenants", index, "egress", rule, "pods", "namespace"];
      if (pods.namespace === namespace)
        fault(
          at,
          namespace,
          "is the platform's namespace, which sessions reach only by the in-pod channel; remove the rule",
        );
      else if (prefixes.some((prefix) => pods.namespace.startsWith(prefix)))
        fault(
          at,
          pods.namespace,
          "is a tenant's namespace, and sessions can never reach sessions; name another namespace",
        );
    });
  });
}
