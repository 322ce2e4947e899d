import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/**
 * A name that contains a hash of the content: `api-config-3f9a1c02d4`. When the content changes, the name changes, and all
 * workloads that refer to the name are rolled out again. A ConfigMap or Secret with such a name is immutable; see
 * generations.ts. The content of a Secret must be a generated value of 128 bits or more: the name contains a part of the hash
 * and is not secret, so somebody could check guesses of a simpler value.
 */
export const contentName = (name: string, content: pulumi.Input<unknown>): pulumi.Output<string> =>
  pulumi.unsecret(
    (pulumi.output(content) as pulumi.Output<unknown>).apply((value) => {
      const hash = createHash("sha256").update(JSON.stringify(value)).digest("hex");
      return `${name}-${hash.slice(0, 10)}`;
    }),
  );

/** The part of a name in front of the hash: `api-config`. Undefined if the name contains no hash. */
export const nameWithoutContent = (name: string): string | undefined => /^(.+)-[0-9a-f]{10}$/.exec(name)?.[1];
