import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { RegistryLogin } from "./config/images.ts";
import { type Component, labels } from "./kubernetes/labels.ts";

/** The Secret by which the cluster pulls from private registries; one in the namespace of every pod that needs it. */
export const registryLoginName = "registry-login";

export interface RegistryLoginSecretArgs {
  namespace: pulumi.Input<string>;
  /** Whose namespace it is. */
  component: Component;
  /** More labels. Default: none. */
  labels?: Record<string, string>;
  logins: RegistryLogin[];
}

/** Makes the Secret. It keeps its name when a login changes: it is read at each pull, so nothing needs to be rolled. */
export const registryLoginSecret = (
  name: string,
  args: RegistryLoginSecretArgs,
  opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Secret =>
  new k8s.core.v1.Secret(
    name,
    {
      metadata: {
        name: registryLoginName,
        namespace: args.namespace,
        labels: { ...labels(args.component), ...args.labels },
      },
      type: "kubernetes.io/dockerconfigjson",
      stringData: { ".dockerconfigjson": pulumi.secret(dockerConfig(args.logins)) },
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
