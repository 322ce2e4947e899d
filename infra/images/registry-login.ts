import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { RegistryLogin } from "../config/images.ts";

/** The Secret by which the cluster pulls from private registries; one in the namespace of every pod that needs it. */
export const registryLoginName = "registry-login";

/**
 * Makes the Secret. It keeps its name when a login changes: it is read at each pull, so nothing needs to be rolled.
 * @param metadata of an object of that name in the namespace
 */
export const registryLoginSecret = (
  name: string,
  metadata: (objectName: string) => types.input.meta.v1.ObjectMeta,
  logins: RegistryLogin[],
  opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret =>
  new k8s.core.v1.Secret(
    name,
    {
      metadata: metadata(registryLoginName),
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": pulumi.secret(dockerConfig(logins)) },
    },
    opts,
  );

/** The Secrets with which a namespace's pods pull: the one made from the logins, and those of the user's own. */
export const pullSecretNames = (config: { registryLogins: RegistryLogin[]; imagePullSecrets: string[] }): string[] => [
  ...(config.registryLogins.length > 0 ? [registryLoginName] : []),
  ...config.imagePullSecrets,
];

/** Docker's config file with the logins. */
export const dockerConfig = (logins: RegistryLogin[]): string =>
  JSON.stringify({
    auths: Object.fromEntries(
      logins.map(({ server, username, password }) => [
        server,
        { username, password, auth: Buffer.from(`${username}:${password}`).toString("base64") },
      ]),
    ),
  });

/** The login for an image or a registry with a path: `ghcr.io/acme/berth` → that of ghcr.io. */
export const loginFor = (logins: RegistryLogin[], registry: string): RegistryLogin | undefined =>
  logins.find(({ server }) => server === registry.replace(/\/.*/, ""));
