/** How the runtime's pods reach a store. */
import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ExternalStore } from "../config/stores.ts";

/** A key of a Secret. */
export interface SecretKey {
  secret: pulumi.Input<string>;
  key: string;
}

export interface StoreConnection {
  /** Variables that anyone may read; they go into api-config. */
  variables: Record<string, string>;
  /** Variables that stay in the Secret that holds them. */
  secretVariables: types.input.core.v1.EnvVar[];
  password: SecretKey;
}

/**
 * A store that Berth doesn't run. All of its Secret stays there: pods read it when they start, and nothing of it enters
 * the stack's state.
 * @param prefix of the variables, for example POSTGRES
 * @param keys of the Secret, each read into `<prefix>_<KEY>`; `tls` may be missing and is false then
 */
export function externalConnection(prefix: string, keys: string[], { secret }: ExternalStore): StoreConnection {
  const variable = (key: string, optional: boolean) => ({
    name: `${prefix}_${key.toUpperCase()}`,
    valueFrom: { secretKeyRef: { name: secret, key, ...(optional && { optional }) } },
  });
  return {
    variables: {},
    secretVariables: [...keys.map((key) => variable(key, false)), variable("tls", true)],
    password: { secret, key: "password" },
  };
}
