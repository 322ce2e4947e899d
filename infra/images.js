import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
/** Berth's two images, built from the checkout and pushed; used by digest. What goes into the context is in .dockerignore. */
export class Images extends pulumi.ComponentResource {
    /** The runtime: API, worker and migrations. */
    api;
    /** The desktop of a session, and its proxy. */
    agent;
    constructor(name, args, opts) {
        super("berth:index:Images", name, {}, opts);
        const build = (image, bases) => new docker.Image(`${image}-image`, {
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
        }, { parent: this }).repoDigest;
        this.api = build("api", { NODE_BUILD_IMAGE: args.base.nodeBuild, NODE_RUNTIME_IMAGE: args.base.nodeRuntime });
        this.agent = build("agent", { DEBIAN_IMAGE: args.base.debian });
        this.registerOutputs({ api: this.api, agent: this.agent });
    }
}
