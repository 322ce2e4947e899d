import * as pulumi from "@pulumi/pulumi";
import { apiKeys } from "./api-keys.ts";
import { keyEntries } from "./tenants-file.ts";
/** Those who may look at all tenants: their API keys. */
export class Admin extends pulumi.ComponentResource {
    /** The first key that was generated, if any. */
    key;
    /** What the runtime knows of the keys. */
    entries;
    constructor(name, { keys, namespace }, opts) {
        super("berth:index:Admin", name, {}, opts);
        const { generated, hashes } = apiKeys("admin", keys, namespace, { parent: this });
        this.key = Object.values(generated)[0];
        this.entries = hashes.apply((all) => keyEntries(keys, all));
        this.registerOutputs({});
    }
}
