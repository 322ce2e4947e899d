import { createHash } from "node:crypto";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import type { KeyConfig } from "../config/keys.ts";

export interface ApiKeys {
  /** The keys that this stack generated, by their names. */
  generated: Record<string, pulumi.Output<string>>;
  /** The SHA-256 of every key in hex, in the config's order. A key itself never enters the cluster. */
  hashes: pulumi.Output<string[]>;
}

/**
 * The API keys of one owner: `berth_<owner>_<random>`.
 * @param owner a tenant's name, or `admin`
 * @param namespace where the Secrets are that keys are read from
 */
export function apiKeys(
  owner: string,
  keys: KeyConfig[],
  namespace: pulumi.Input<string>,
  opts: pulumi.CustomResourceOptions,
): ApiKeys {
  const generated: ApiKeys["generated"] = {};
  const hashes = keys.map(({ name, sha256, secret }) => {
    if (sha256 !== null) return pulumi.output(sha256);
    const resource = `${owner}-key-${name}`;
    const key = secret === null ? generate(resource, owner, opts) : keyIn(resource, owner, namespace, secret, opts);
    if (secret === null) generated[name] = key;
    return pulumi.unsecret(key.apply(keyHash));
  });
  return { generated, hashes: pulumi.all(hashes) };
}

export const keyHash = (key: string): string => createHash("sha256").update(key).digest("hex");

function generate(resource: string, owner: string, opts: pulumi.CustomResourceOptions): pulumi.Output<string> {
  const { result } = new random.RandomPassword(resource, { length: 32, special: false }, opts);
  return pulumi.interpolate`berth_${owner}_${result}`;
}

/** A key that lies in a Secret. The runtime finds its owner by its first words, so they must be there. */
function keyIn(
  resource: string,
  owner: string,
  namespace: pulumi.Input<string>,
  secret: string,
  opts: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { data } = k8s.core.v1.Secret.get(resource, pulumi.interpolate`${namespace}/${secret}`, opts);
  return pulumi.secret(data).apply((fields) => {
    const key = Buffer.from(fields?.key ?? "", "base64").toString();
    if (new RegExp(`^berth_${owner}_[A-Za-z0-9_-]{16,}$`).test(key)) return key;
    throw new pulumi.RunError(
      `the Secret ${secret} in the namespace berth has no API key of ${owner} under \`key\`: berth_${owner}_ and 16 or more of A-Z, a-z, 0-9, _ and -, without a line break`,
    );
  });
}
