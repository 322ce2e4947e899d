/** Builds an image and pushes it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
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
  const push = (env = {}) => run("pushed", ["push", imageName], env);
  const pushOutput = registry
    ? await withLogin(imageName, registry, (DOCKER_CONFIG) => push({ DOCKER_CONFIG }))
    : await push();
  const digest = /digest: (sha256:[0-9a-f]{64})/.exec(pushOutput)?.[1];
  if (digest === undefined)
    throw new Error(`Docker pushed ${imageName}, but its output contains no digest. Run the command again.`);
  return `${imageName.replace(/:[^/:]*$/, "")}@${digest}`;
}

/** Calls `use` with a folder of Docker settings that contain only the login to the image's registry. */
async function withLogin<T>(
  imageName: string,
  { username, password }: NonNullable<ImageInputs["registry"]>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "berth-login-"));
  try {
    const auth = Buffer.from(`${username}:${password}`).toString("base64");
    const auths = { [loginServer(parseReference(imageName).registry)]: { auth } };
    await writeFile(join(folder, "config.json"), JSON.stringify({ auths }), { mode: 0o600 });
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The Dockerfile's path relative to the context. Pulumi's state contains this path. */
export const dockerfileOf = ({ context, dockerfile }: ImageInputs["build"]): string =>
  posix.normalize(relative(context, dockerfile));
