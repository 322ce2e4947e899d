/** The number by which the runtime's processes know which of two tenants files is newer. */
import { createHash } from "node:crypto";
import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";

/**
 * A number that grows with each change of the content, and only then, also when an earlier content comes back: the time, in
 * Unix seconds, at which the API server made the Secret that stands for the content. The Secret is made anew for each content
 * under a name that Pulumi makes up, so none is ever found again. The clock is the API server's, because the clocks of those
 * who run `up` differ. A number in Pulumi's state would begin anew with a new stack, whose database may be a restored one.
 * @param metadata of the Secret, without its name
 */
export function tenantsGeneration(
  content: pulumi.Output<unknown>,
  metadata: types.input.meta.v1.ObjectMeta,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<number> {
  const sha256 = content.apply((value) => createHash("sha256").update(JSON.stringify(value)).digest("hex"));
  const secret = new k8s.core.v1.Secret(
    "tenants-generation",
    { metadata, stringData: { sha256 } },
    // Kubernetes keeps the text as `data`, and tells of a change by that name.
    { ...opts, replaceOnChanges: ["data", "stringData"] },
  );
  // Where manifests are only rendered, nobody has made anything.
  return secret.metadata.creationTimestamp.apply((time?: string) =>
    time === undefined ? 0 : Math.floor(Date.parse(time) / 1_000),
  );
}
