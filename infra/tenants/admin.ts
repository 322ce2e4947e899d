import * as pulumi from "@pulumi/pulumi";
import type { KeyConfig } from "../config/keys.ts";
import { apiKeys } from "./api-keys.ts";
import { type KeyEntry, keyEntries } from "./tenants-file.ts";

export interface AdminArgs {
  /** The keys of the config, some to be generated. */
  keys: KeyConfig[];
  /** The platform's namespace, where the Secrets are that keys are read from. */
  namespace: pulumi.Input<string>;
}

/** Those who may look at all tenants: their API keys. */
export class Admin extends pulumi.ComponentResource {
  /** The first key that was generated, if any. */
  readonly key: pulumi.Output<string> | undefined;
  /** What the runtime knows of the keys. */
  readonly entries: pulumi.Output<KeyEntry[]>;

  constructor(name: string, { keys, namespace }: AdminArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Admin", name, {}, opts);
    const { generated, hashes } = apiKeys("admin", keys, namespace, { parent: this });
    this.key = Object.values(generated)[0];
    this.entries = hashes.apply((all) => keyEntries(keys, all));
    this.registerOutputs({ key: pulumi.secret(this.key), entries: this.entries });
  }
}
