import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import type { ImagesConfig, RegistryPush } from "../config/images.ts";
import type { BaseImages } from "./pinned.ts";

export interface ImagesArgs {
  /** Where the images are pushed to, for example ghcr.io/acme/berth. */
  registry: string;
  /** Who pushes. Default: Docker's own login. Never one of `registryLogins`, which may only read and lie in the cluster. */
  registryPush?: RegistryPush | undefined;
  /** Images to take as they are, by digest, in place of building them. */
  images: ImagesConfig;
  /** What they are built on, by digest. */
  base: BaseImages;
  /** For example linux/amd64. */
  platform: string;
  /** Network of the build: default or host. */
  buildNetwork: string;
}

/**
 * Berth's images, built from the checkout and pushed, or the config's in their place; used by digest. What goes into the
 * context is in .dockerignore.
 */
export class Images extends pulumi.ComponentResource {
  /** The runtime: API, worker and migrations. */
  readonly api: pulumi.Output<string>;
  /** The desktop of a session. */
  readonly agent: pulumi.Output<string>;
  /** What the platform runs beside it. */
  readonly berthd: pulumi.Output<string>;

  constructor(name: string, args: ImagesArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Images", name, {}, opts);
    const login = args.registryPush;
    const server = args.registry.replace(/\/.*/, "");
    const build = (image: string, bases: Record<string, string>) =>
      new docker.Image(
        `${image}-image`,
        {
          imageName: `${args.registry}/${image}:${pulumi.getStack()}`,
          build: {
            // The checkout, as the program runs in infra/; relative, so that another clone makes no difference.
            context: "..",
            dockerfile: `../images/${image}/Dockerfile`,
            builderVersion: docker.BuilderVersion.BuilderBuildKit,
            platform: args.platform,
            network: args.buildNetwork,
            args: bases,
          },
          ...(login && { registry: { server, username: login.username, password: pulumi.secret(login.password) } }),
        },
        { parent: this },
      ).repoDigest;
    this.api = build("api", { NODE_BUILD_IMAGE: args.base.nodeBuild, NODE_RUNTIME_IMAGE: args.base.nodeRuntime });
    this.agent =
      args.images.agent === null
        ? build("agent", { DEBIAN_IMAGE: args.base.debian, GO_IMAGE: args.base.go })
        : pulumi.output(args.images.agent);
    this.berthd = build("berthd", { GO_IMAGE: args.base.go });
    this.registerOutputs({ api: this.api, agent: this.agent, berthd: this.berthd });
  }
}
