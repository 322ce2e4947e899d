import type * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { type Component, labels } from "./labels.ts";
import type { PlatformContext } from "./platform-context.ts";

export interface GeneratedSecretArgs {
  platform: Pick<PlatformContext, "namespace" | "generations">;
  component: Component;
  /** The first part of the Secret's name. The second part is a hash of the value. */
  name: string;
  /** The only key of the Secret. */
  key: string;
  /** The length of the value, which has letters and digits. Default 32. */
  length?: number;
}

/**
 * Makes an immutable Secret with a random value. `pulumi up --replace` of the password makes a new value. The new value is in a
 * Secret with another name, so all pods that mount the Secret are restarted.
 * @param name the resource name of the password and of the Secret in the stack
 * @returns the Secret's name
 */
export function generatedSecret(
  name: string,
  { platform, component, name: secret, key, length = 32 }: GeneratedSecretArgs,
  parent: pulumi.CustomResourceOptions,
): pulumi.Output<string> {
  const { result } = new random.RandomPassword(name, { length, special: false }, parent);
  return platform.generations.secret(
    name,
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
