import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { type Component, labels } from "./labels.ts";
import type { PlatformContext } from "./platform-context.ts";

export interface GeneratedSecretArgs {
  platform: Pick<PlatformContext, "namespace" | "generations">;
  component: Component;
  /** Start of the Secret's name; the rest changes with the value. */
  name: string;
  /** The Secret's one key. */
  key: string;
  /** Letters and digits of the value. Default 32. */
  length?: number;
}

/**
 * An immutable Secret with a random value. A new value is made by `pulumi up --replace` of the password; it is a Secret of
 * another name, so all that mount it are rolled.
 * @param name of the password in the stack
 * @returns the Secret's name
 */
export function generatedSecret(
  name: string,
  { platform, component, name: secret, key, length = 32 }: GeneratedSecretArgs,
  parent: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { result } = new random.RandomPassword(name, { length, special: false }, parent);
  return platform.generations.secret(
    secret,
    {
      namespace: platform.namespace,
      name: secret,
      labels: labels(component),
      stringData: { [key]: result },
      content: result,
    },
    parent,
  );
}
