import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/**
 * A name that changes with the content: `api-config-3f9a1c02d4`. Whatever refers to the object by name is rolled when the
 * content changes, and pods of before keep what they started with.
 * Secret content must be generated (128 bits and more), as the name shows a part of its hash.
 */
export const contentName = (name: string, content: pulumi.Input<unknown>): pulumi.Output<string> =>
  pulumi.unsecret(
    (pulumi.output(content) as pulumi.Output<unknown>).apply((value) => {
      const hash = createHash("sha256").update(JSON.stringify(value)).digest("hex");
      return `${name}-${hash.slice(0, 10)}`;
    }),
  );

/**
 * For an object of such a name. What is put back after a failed `up` has a name that was there before: if the object of that
 * name had waited for the end of the `up`, making it would be refused, or it would be taken over and then deleted. So it goes
 * first. Pods that run have mounted it; those of before that restart in the meantime wait for the ones that follow.
 */
export const namedByContent = { deleteBeforeReplace: true } as const;
