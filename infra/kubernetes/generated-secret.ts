import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { contentName } from "./content-name.ts";
import { type Component, labels } from "./labels.ts";

export interface GeneratedSecretArgs {
  namespace: pulumi.Input<string>;
  component: Component;
  /** Start of the Secret's name; the rest changes with the value. */
  name: string;
  /** The Secret's one key. */
  key: string;
  /** Letters and digits of the value. Default 32. */
  length?: number;
}

/**
 * An immutable Secret with a value that nobody chose. A new value is made by `pulumi up --replace` of the password; it is
 * a Secret of another name, so all that mount it are rolled.
 * @param name of the password in the stack
 * @returns the Secret's name
 */
export function generatedSecret(
  name: string,
  args: GeneratedSecretArgs,
  parent: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { result } = new random.RandomPassword(name, { length: args.length ?? 32, special: false }, parent);
  return new k8s.core.v1.Secret(
    args.name,
    {
      metadata: { name: contentName(args.name, result), namespace: args.namespace, labels: labels(args.component) },
      immutable: true,
      stringData: { [args.key]: result },
    },
    parent,
  ).metadata.name;
}
