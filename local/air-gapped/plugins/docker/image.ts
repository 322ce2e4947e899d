/**
 * The resource docker.Image. Pulumi builds and pushes a new image, and an image whose inputs have changed. The inputs contain a
 * digest of the image's files.
 */
import { existsSync } from "node:fs";
import { contextDigest } from "../../../../infra/images/context.ts";
import { InputError, type Resource, refuseOthers, unchanged } from "../protocol/plugin.ts";
import { changedKeys, hasUnknown, isObject, type Props, plain, secret } from "../protocol/values.ts";
import { buildAndPush, dockerfileOf, type ImageInputs } from "./build.ts";

const understood = ["imageName", "build", "registry", "buildOnPreview", "skipPush"];
const understoodOfBuild = ["context", "dockerfile", "platform", "network", "args", "builderVersion", "contextDigest"];

/** @param host the address of the Docker daemon, for example unix:///run/docker.sock */
export const imageResource = (host: string): Resource => {
  const built = async (inputs: Props, signal: AbortSignal) => {
    const image = plain<ImageInputs>(inputs);
    const repoDigest = await buildAndPush(image, host, signal);
    const state: Props = {
      __inputs: secret(image),
      baseImageName: image.imageName,
      context: image.build.context,
      dockerfile: dockerfileOf(image.build),
      imageName: image.imageName,
      platform: image.build.platform,
      registryServer: image.registry?.server ?? "",
      repoDigest,
    };
    return { id: image.imageName, state };
  };

  return {
    async check({ news }) {
      const build = (isObject(news.build) ? news.build : {}) as ImageInputs["build"] & Props;
      refuseOthers("docker.Image", news, understood);
      refuseOthers("docker.Image's build", build, understoodOfBuild);
      if (news.skipPush === true || news.buildOnPreview === true)
        throw new InputError(
          "The stand-in for docker.Image does not support skipPush or buildOnPreview: use the official plugin.",
        );
      const { context, dockerfile } = plain<ImageInputs["build"]>(build);
      if (hasUnknown([context, dockerfile])) return news;
      if (!existsSync(dockerfile)) throw new InputError(`build.dockerfile is ${dockerfile}, which does not exist.`);
      if (dockerfileOf({ ...build, context, dockerfile }).startsWith(".."))
        throw new InputError(`build.dockerfile is ${dockerfile}, which must be inside build.context, ${context}.`);
      const known = { ...build, contextDigest: contextDigest(context, dockerfile) };
      return { ...news, buildOnPreview: false, build: known };
    },
    async diff({ state, inputs }) {
      // The user and the password of the push are not compared, because they don't change the image.
      const compared = (props: Props) => ({ ...props, registry: (props.registry as ImageInputs["registry"])?.server });
      const changed = changedKeys(compared(plain<Props>(state.__inputs ?? {})), compared(plain<Props>(inputs)));
      return changed.length > 0 ? { changed, replaces: [] } : unchanged;
    },
    create: async ({ inputs, preview, signal }) => (preview ? { id: "", state: inputs } : built(inputs, signal)),
    read: async ({ inputs, state }) => ({ inputs, state }),
    update: async ({ inputs, preview, signal }) => (preview ? inputs : (await built(inputs, signal)).state),
    async delete() {},
  };
};
