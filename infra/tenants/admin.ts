import * as pulumi from "@pulumi/pulumi";
import type { KeyConfig } from "../config/keys.ts";
import { apiKeys } from "./api-keys.ts";
import { type KeyEntry, keyEntries } from "./tenants-file.ts";

export interface AdminArgs {
  /** The admin's keys from the config. Berth generates those that have no hash and no Secret. */
  keys: KeyConfig[];
  /** The platform's namespace, which holds the Secrets with keys. */
  namespace: pulumi.Input<string>;
}

/** The admin's API keys, with which a user may read the data of all tenants. */
export class Admin extends pulumi.ComponentResource {
  /** The first generated key, if there is one. */
  readonly key: pulumi.Output<string> | undefined;
  /** The admin's keys, as hashes, for the tenants file. */
  readonly entries: pulumi.Output<KeyEntry[]>;

  constructor(name: string, { keys, namespace }: AdminArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Admin", name, {}, opts);
    const { generated, hashes } = apiKeys(name, "admin", keys, namespace, { parent: this });
    this.key = Object.values(generated)[0];
    this.entries = hashes.apply((all) => keyEntries(keys, all));
    this.registerOutputs({ key: pulumi.secret(this.key), entries: this.entries });
  }
}
