/** The stand-in for Pulumi's plugin docker. */
import { digestOf, type RegistryAuth } from "../../../images/digests.ts";
import type { Plugin } from "../protocol/plugin.ts";
import { plain } from "../protocol/values.ts";
import { imageResource } from "./image.ts";

interface Arguments {
  /** The address of the Docker daemon, for example unix:///run/docker.sock. */
  host?: string;
  /** A list of RegistryAuth as JSON text, because Pulumi's protocol passes each argument as a string. */
  registryAuth?: string;
}

export function dockerPlugin(): Plugin {
  let host = "";
  let auths: RegistryAuth[] = [];

  const getRegistryImage = async (args: Record<string, unknown>) => {
    const { name } = plain<{ name: string }>(args);
    const sha256Digest = await digestOf(name, auths);
    return { id: sha256Digest, name, sha256Digest };
  };

  return {
    configure(args) {
      const { host: daemon, registryAuth = "[]" } = plain<Arguments>(args);
      host = daemon ?? process.env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
      auths = JSON.parse(registryAuth) as RegistryAuth[];
    },
    resource: (type) => (type === "docker:index/image:Image" ? imageResource(host) : undefined),
    invoke: (token) => (token === "docker:index/getRegistryImage:getRegistryImage" ? getRegistryImage : undefined),
  };
}
