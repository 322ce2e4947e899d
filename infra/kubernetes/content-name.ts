import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/**
 * A name that changes with the content: `api-config-3f9a1c02d4`. Whatever refers to the object by name is rolled when the
 * content changes. A ConfigMap or Secret of such a name is `immutable` and a generation of its content; see generations.ts.
 * Secret content must be generated (128 bits and more), as the name shows a part of its hash.
 */
export const contentName = (name: string, content: pulumi.Input<unknown>): pulumi.Output<string> =>
  pulumi.unsecret(
    (pulumi.output(content) as pulumi.Output<unknown>).apply((value) => {
      const hash = createHash("sha256").update(JSON.stringify(value)).digest("hex");
      return `${name}-${hash.slice(0, 10)}`;
    }),
  );

/** What of a name is the same for all contents: `api-config`. Undefined for a name that no content has made. */
export const nameWithoutContent = (name: string): string | undefined => /^(.+)-[0-9a-f]{10}$/.exec(name)?.[1];
