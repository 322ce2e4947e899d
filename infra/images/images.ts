import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ImagesConfig, OwnImage, RegistryPush } from "../config/images.ts";
import type { BaseImages } from "./base-images/pinned.ts";
import { withSecrets } from "./build-secrets.ts";
import { tagOf } from "./tag.ts";

export interface ImagesArgs {
  /** The registry and path to which built images are pushed, for example ghcr.io/acme/berth. */
  registry: string;
  /**
   * The login for the push. Default: Docker's own login, never one of `registryLogins`: these have read access only and are
   * stored in the cluster.
   */
  registryPush?: RegistryPush | undefined;
  /** Per image: a finished image, by digest, or build arguments. */
  images: ImagesConfig;
  /** The base images by digest. */
  base: BaseImages;
  /** The operating system and architecture of the nodes, for example linux/amd64. */
  platform: string;
  /** The network of the image builds: default or host. */
  buildNetwork: string;
}

/**
 * Builds Berth's images from the checkout and pushes them, each build under a new tag, or takes images that the config
 * names. Pods use the images by digest. The .dockerignore file of each image lists the files that the build may read.
 */
export class Images extends pulumi.ComponentResource {
  /** The image of the runtime: API, gateway, worker, migrations and clean-up. */
  readonly api: pulumi.Output<string>;
  /** The image of a session's desktop. */
  readonly agent: pulumi.Output<string>;
  /** The image of berthd, which the platform runs in every session. */
  readonly berthd: pulumi.Output<string>;

  constructor(name: string, args: ImagesArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Images", name, {}, opts);
    const login = args.registryPush;
    const server = args.registry.replace(/\/.*/, "");
    const take = (image: OwnImage, bases: Record<string, string>): pulumi.Output<string> => {
      const given = args.images[image];
      if (typeof given === "string") return pulumi.output(given);
      const inputs = { platform: args.platform, network: args.buildNetwork, args: { ...bases, ...given?.buildArgs } };
      const tag = tagOf(`${name}-${image}-build`, image, { ...inputs, server: login && server }, { parent: this });
      // The context is the root of the checkout, because the program runs in infra/. A relative path is the same in every clone.
      const build = { context: "..", dockerfile: `../images/${image}/Dockerfile`, ...inputs };
      return new docker.Image(
        `${name}-${image}`,
        {
          imageName: pulumi.interpolate`${args.registry}/${image}:${tag}`,
          build: { ...build, builderVersion: docker.BuilderVersion.BuilderBuildKit },
          ...(login && { registry: { server, username: login.username, password: pulumi.secret(login.password) } }),
        },
        { parent: this, ...withSecrets(build, secretsOf(given)) },
      ).repoDigest;
    };
    this.api = take("api", { NODE_BUILD_IMAGE: args.base.nodeBuild, NODE_RUNTIME_IMAGE: args.base.nodeRuntime });
    this.agent = take("agent", { DEBIAN_IMAGE: args.base.debian, GO_IMAGE: args.base.go });
    this.berthd = take("berthd", { GO_IMAGE: args.base.go });
    this.registerOutputs({ api: this.api, agent: this.agent, berthd: this.berthd });
  }
}

/** The secrets of the image's build that the config has. */
const secretsOf = (given: Exclude<ImagesConfig[OwnImage], string>): Record<string, string> =>
  given !== null && "buildSecrets" in given
    ? Object.fromEntries(
        Object.entries(given.buildSecrets).filter((entry): entry is [string, string] => entry[1] !== null),
      )
    : {};
