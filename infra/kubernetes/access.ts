/** How the program reaches the stack's cluster, and the check that it reaches the right one. */
import type { ProviderArgs } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { Config } from "../config/config.ts";
import { type ClusterAccess, cluster } from "./cluster.ts";

type Named = Pick<Config, "context" | "kubeconfig" | "clusterId">;

/**
 * The access to the stack's cluster, as the config describes the access.
 * @throws RunError if `kubeconfig` names an output of another stack, and this output is missing or empty
 */
export async function clusterAccess({ context, kubeconfig }: Omit<Named, "clusterId">): Promise<ClusterAccess> {
  if (kubeconfig === null) return { context };
  if (typeof kubeconfig === "string") return { context, kubeconfig };
  const { stack, output } = kubeconfig;
  const details = await new pulumi.StackReference("cluster", { name: stack }).getOutputDetails(output);
  const found: unknown = details.value ?? details.secretValue;
  if (found === undefined || found === null || found === "")
    throw new pulumi.RunError(
      `kubeconfig: the stack ${stack} has no output ${output}. Nothing was changed. Run \`pulumi up\` for that stack first, or correct the names.`,
    );
  return { context, kubeconfig: typeof found === "string" ? found : JSON.stringify(found) };
}

/**
 * The arguments and resource options for the Pulumi providers that connect to the stack's cluster.
 *
 * If `clusterIdentifier` changes, Pulumi takes the cluster for another one and replaces every resource. The identifier is the
 * context's name (without a context: `clusterId`), so that a new kubeconfig replaces nothing. If `clusterId` is set,
 * `refuseOtherCluster` has checked the cluster itself. So Pulumi then ignores a new identifier and keeps the one in its state,
 * and a user may rename the context.
 */
export function providerOf(
  { context, kubeconfig }: ClusterAccess,
  { clusterId }: Pick<Named, "clusterId">,
): { args: ProviderArgs; options: pulumi.ResourceOptions } {
  return {
    args: {
      ...(context !== "" && { context }),
      ...(kubeconfig !== undefined && { kubeconfig: pulumi.secret(kubeconfig) }),
      clusterIdentifier: context || (clusterId ?? ""),
    },
    options: clusterId === null ? {} : { ignoreChanges: ["clusterIdentifier"] },
  };
}

/**
 * Ends the program, before it changes anything, if the cluster is not the one that `clusterId` names, or if the cluster's
 * identity can't be read. A cluster's identity is the UID of its namespace kube-system. Without `clusterId`, the function checks
 * nothing.
 */
export async function refuseOtherCluster(
  access: ClusterAccess,
  { clusterId }: Pick<Named, "clusterId">,
): Promise<void> {
  if (clusterId === null) return;
  const which = access.context === "" ? "the kubeconfig's current context" : `the context ${access.context}`;
  const found = await cluster.identify(access).catch(({ message }: Error) => {
    throw new pulumi.RunError(
      `clusterId: Berth compares \`clusterId\` with the UID of the namespace kube-system, but can't read this UID with ${which}: ${message}. Nothing was changed. Correct the access, because with \`clusterId\` Berth changes no cluster that it can't identify.`,
    );
  });
  if (found !== clusterId)
    throw new pulumi.RunError(
      `clusterId: ${which} leads to the cluster ${found}, and this stack belongs to the cluster ${clusterId}. Nothing was changed. Correct \`context\` or \`kubeconfig\`. If the cluster was made again and has nothing of the stack, see docs/your-cluster.md.`,
    );
}
