/** How pods connect to a store: the runtime's pods, the backup jobs and the exporters. */
import type { types } from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import type { ExternalStore } from "../config/stores.ts";

/** A key in a Secret. */
export interface SecretKey {
  secret: pulumi.Input<string>;
  key: string;
}

export interface StoreConnection {
  /** Environment variables that are not secret. The ConfigMap api-config contains them. */
  variables: Record<string, pulumi.Input<string>>;
  /** Environment variables that pods read from a Secret. */
  secretVariables: types.input.core.v1.EnvVar[];
  password: SecretKey;
}

/**
 * The connection to an external store. Pods read the connection's values from its Secret when they start, so the stack's state
 * contains none of them.
 * @param prefix of the variables' names, for example POSTGRES
 * @param keys the keys that the Secret must have besides `password`. Each key becomes the variable `<prefix>_<KEY>`. The Secret
 * may also have the key `tls`; without this key, the connection has no TLS.
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
