import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { KeyConfig } from "../config/keys.ts";

export interface ApiKeys {
  /** The keys that this stack has generated, by name. */
  generated: Record<string, pulumi.Output<string>>;
  /**
   * The SHA-256 of every key in hex, in the order of the owner's keys in the config. The stack stores only the
   * hashes in the cluster, never a key. If the config names a `secret`, the operator has stored the key itself in this Secret.
   */
  hashes: pulumi.Output<string[]>;
}

/**
 * The API keys of one owner, which have the form `berth_<owner>_<random>`.
 * @param name the name of the component to which the keys belong
 * @param owner a tenant's name, or `admin`
 * @param namespace the namespace that contains the Secrets that `keys` name in `secret`
 */
export function apiKeys(
  name: string,
  owner: string,
  keys: KeyConfig[],
  namespace: pulumi.Input<string>,
  opts: pulumi.CustomResourceOptions,
): ApiKeys {
  const generated: ApiKeys["generated"] = {};
  const hashes = keys.map(({ name: keyName, sha256, secret }) => {
    if (sha256 !== null) return pulumi.output(sha256);
    // Names of tenants and keys contain no dot, so no other tenant's resource has this name now or had it in an older version.
    const resource = `${name}-key.${keyName}`;
    const key = secret === null ? generate(resource, owner, opts) : keyIn(resource, owner, namespace, secret, opts);
    if (secret === null) generated[keyName] = key;
    return pulumi.unsecret(key.apply(keyHash));
  });
  return { generated, hashes: pulumi.all(hashes) };
}

export const keyHash = (key: string): string => createHash("sha256").update(key).digest("hex");

function generate(resource: string, owner: string, opts: pulumi.CustomResourceOptions): pulumi.Output<string> {
  const { result } = new random.RandomPassword(resource, { length: 32, special: false }, opts);
  return pulumi.interpolate`berth_${owner}_${result}`;
}

/** Reads a key from a Secret. The key must start with `berth_<owner>_`, because the runtime reads the owner from the key. */
function keyIn(
  resource: string,
  owner: string,
  namespace: pulumi.Input<string>,
  secret: string,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { data } = k8s.core.v1.Secret.get(resource, pulumi.interpolate`${namespace}/${secret}`, opts);
  return pulumi.all([pulumi.secret(data), namespace]).apply(([fields, namespace]) => {
    const key = Buffer.from(fields?.key ?? "", "base64").toString();
    if (new RegExp(`^berth_${owner}_[A-Za-z0-9_-]{16,}$`).test(key)) return key;
    throw new pulumi.RunError(
      `the Secret ${secret} in the namespace ${namespace} has no valid API key of ${owner} under \`key\`; the key must be berth_${owner}_ and then 16 or more characters of A-Z, a-z, 0-9, _ and -, without a line break`,
    );
  });
}
