/** docker.Image: built and pushed whenever what it is built from has changed. */
import { existsSync } from "node:fs";
import { InputError, type Resource, unchanged } from "../protocol/plugin.ts";
import { changedKeys, hasUnknown, isObject, type Props, plain, secret } from "../protocol/values.ts";
import { buildAndPush, dockerfileOf, type ImageInputs } from "./build.ts";
import { contextDigest } from "./context.ts";

const understood = ["imageName", "build", "registry", "buildOnPreview", "skipPush"];
const understoodOfBuild = ["context", "dockerfile", "platform", "network", "args", "builderVersion", "contextDigest"];

/** @param host of the Docker daemon, for example unix:///run/docker.sock */
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
      const others = [
        ...Object.keys(news).filter((key) => !understood.includes(key)),
        ...Object.keys(build).filter((key) => !understoodOfBuild.includes(key)),
      ];
      if (others.length > 0 || news.skipPush === true || news.buildOnPreview === true)
        throw new InputError(
          `The stand-in for docker.Image has no ${[...others, "skipPush or buildOnPreview"][0]}: use the official plugin.`,
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
      // Who pushes, and with which password, changes nothing about the image.
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
