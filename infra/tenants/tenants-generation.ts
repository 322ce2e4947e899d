/** The generation number, by which the runtime's processes know which of two tenants files is newer. */
import { createHash } from "node:crypto";
import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

/**
 * A number that grows with each change of the content, also when earlier content returns, and does not change otherwise. Each
 * new content makes a new Secret, and the number is the creation time of this Secret in Unix seconds. Pulumi generates the
 * Secret's name, so no earlier Secret is used again. The Kubernetes API server's clock counts, because the clocks of the
 * machines that run `up` may differ. A counter in Pulumi's state would be wrong: a new stack would start the counter from the
 * beginning, although the stack's database may be a restored one with higher numbers.
 * @param metadata of the Secret, without its name
 */
export function tenantsGeneration(
  content: pulumi.Output<unknown>,
  metadata: types.input.meta.v1.ObjectMeta,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<number> {
  const sha256 = content.apply((value) => createHash("sha256").update(JSON.stringify(value)).digest("hex"));
  const secret = new k8s.core.v1.Secret(
    // Pulumi generates this Secret's name in the cluster from the resource name, so the resource must not be renamed.
    "tenants-generation",
    { metadata, stringData: { sha256 } },
    // Kubernetes stores `stringData` as `data`, so a change of the content appears as a change of `data`.
    { ...opts, replaceOnChanges: ["data", "stringData"] },
  );
  // When manifests are only rendered, no cluster creates the Secret, so there is no creation time; the generation is then 0.
  return secret.metadata.creationTimestamp.apply((time?: string) =>
    time === undefined ? 0 : Math.floor(Date.parse(time) / 1_000),
  );
}
