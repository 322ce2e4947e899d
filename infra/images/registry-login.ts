import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { RegistryLogin } from "../config/images.ts";

/** The name of the pull secret for private registries. Every namespace whose pods need the pull secret has a copy. */
export const registryLoginName = "registry-login";

/**
 * Makes the pull secret. Its name stays the same when a login changes. The kubelet reads the Secret at each pull, so no pod
 * needs a restart.
 * @param metadata makes the metadata of an object with the given name in the namespace
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

/** The pull secrets of a namespace's pods: the one that Berth makes from `registryLogins`, and those in `imagePullSecrets`. */
export const pullSecretNames = (config: { registryLogins: RegistryLogin[]; imagePullSecrets: string[] }): string[] => [
  ...(config.registryLogins.length > 0 ? [registryLoginName] : []),
  ...config.imagePullSecrets,
];

/** The text of a Docker config file that contains the logins. */
export const dockerConfig = (logins: RegistryLogin[]): string =>
  JSON.stringify({
    auths: Object.fromEntries(
      logins.map(({ server, username, password }) => [
        server,
        { username, password, auth: Buffer.from(`${username}:${password}`).toString("base64") },
      ]),
    ),
  });

/** The login for an image name or a registry path: for `ghcr.io/acme/berth`, the login of ghcr.io. */
export const loginFor = (logins: RegistryLogin[], registry: string): RegistryLogin | undefined =>
  logins.find(({ server }) => server === registry.replace(/\/.*/, ""));
