/** Builds an image and pushes it. */
import { mkdtempDisposable, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, posix, relative } from "node:path";
import { clientError, docker } from "../../../docker.ts";
import { loginServer, parseReference } from "../../../images/digests.ts";

/** The inputs of docker.Image that the stand-in supports. */
export interface ImageInputs {
  imageName: string;
  build: {
    context: string;
    dockerfile: string;
    platform: string;
    network?: string;
    args?: Record<string, string>;
    builderVersion?: string;
    contextDigest?: string;
  };
  registry?: { server: string; username: string; password: string };
  buildOnPreview?: boolean;
  skipPush?: boolean;
}

/**
 * @param host the address of the Docker daemon
 * @returns the reference of the pushed image with its digest, for example 127.0.0.1:5000/berth/api@sha256:…
 */
export async function buildAndPush(image: ImageInputs, host: string, signal: AbortSignal): Promise<string> {
  const { imageName, build, registry } = image;
  const run = (done: string, args: string[], env = {}) =>
    docker(args, { host, env, cancelSignal: signal }).catch((error) => {
      throw new Error(`${imageName} can't be ${done}: ${clientError(error)}`);
    });
  const options = [
    ...[`--file=${build.dockerfile}`, `--platform=${build.platform}`, `--tag=${imageName}`],
    ...(build.network ? [`--network=${build.network}`] : []),
    ...Object.entries(build.args ?? {}).map(([name, value]) => `--build-arg=${name}=${value}`),
  ];
  await run("built", ["build", ...options, build.context]);
  await using settings = await mkdtempDisposable(join(tmpdir(), "berth-login-"));
  if (registry) await writeFile(join(settings.path, "config.json"), onlyLogin(imageName, registry), { mode: 0o600 });
  const pushOutput = await run("pushed", ["push", imageName], registry && { DOCKER_CONFIG: settings.path });
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushOutput)?.[1];
  if (digest === undefined)
    throw new Error(`Docker pushed ${imageName}, but its output contains no digest. Run the command again.`);
  return `${imageName.replace(/:[^/:]*$/, "")}@${digest}`;
}

/** Docker's settings that contain only the login to the image's registry. */
function onlyLogin(imageName: string, { username, password }: NonNullable<ImageInputs["registry"]>): string {
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  return JSON.stringify({ auths: { [loginServer(parseReference(imageName).registry)]: { auth } } });
}

/** The Dockerfile's path relative to the context. Pulumi's state contains this path. */
export const dockerfileOf = ({ context, dockerfile }: ImageInputs["build"]): string =>
  posix.normalize(relative(context, dockerfile));
