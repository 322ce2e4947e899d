import { createHash } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";
/**
 * A name that changes with the content: `api-config-3f9a1c02d4`. Whatever refers to the object by name is rolled when the
 * content changes, and pods of before keep what they started with.
 * Secret content must be generated (128 bits and more), as the name shows a part of its hash.
 */
export const contentName = (name, content) => pulumi.unsecret(pulumi.output(content).apply((value) => {
    const hash = createHash("sha256").update(JSON.stringify(value)).digest("hex");
    return `${name}-${hash.slice(0, 10)}`;
}));
