/** Builds an image with the docker command, and pushes it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { dockerConfig, hostOf } from "./registry.ts";

/** Inputs of docker.Image that are understood. */
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

/** @returns the pushed image by digest, for example 127.0.0.1:5000/berth/api@sha256:… */
export async function buildAndPush(image: ImageInputs, host: string | undefined, signal: AbortSignal): Promise<string> {
  const { imageName, build, registry } = image;
  const login = registry && (await loginFolder(registry));
  const env = {
    DOCKER_BUILDKIT: "1",
    ...(host && { DOCKER_HOST: host }),
    ...(login && { DOCKER_CONFIG: login }),
  };
  const docker = async (args: string[], what: string) => {
    const { failed, all } = await execa("docker", args, { env, reject: false, all: true, cancelSignal: signal });
    if (failed)
      throw new Error(`${imageName} can't be ${what}:\n${(all ?? "").trim().split("\n").slice(-12).join("\n")}`);
    return all;
  };
  try {
    const settings = Object.entries(build.args ?? {}).flatMap(([name, value]) => ["--build-arg", `${name}=${value}`]);
    const where = ["--platform", build.platform, ...(build.network ? ["--network", build.network] : [])];
    const files = ["--file", build.dockerfile, build.context];
    await docker(["build", "--progress=plain", "--tag", imageName, ...where, ...settings, ...files], "built");
    const [digest] =
      /sha256:[0-9a-f]{64}/.exec(/digest: \S+/.exec(await docker(["push", imageName], "pushed"))?.[0] ?? "") ?? [];
    if (digest === undefined) throw new Error(`docker push ${imageName} told no digest.`);
    return `${imageName.replace(/:[^/:]*$/, "")}@${digest}`;
  } finally {
    if (login) await rm(login, { recursive: true });
  }
}

/** A folder of Docker's settings that knows this login too; the user's own stay as they are. */
async function loginFolder({ server, username, password }: NonNullable<ImageInputs["registry"]>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-docker-"));
  const { auths, credHelpers, ...rest } = dockerConfig();
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  const key = hostOf(server);
  const config = { ...rest, auths: { ...auths, [key]: { auth } }, credHelpers: { ...credHelpers, [key]: "" } };
  await writeFile(join(folder, "config.json"), JSON.stringify(config), { mode: 0o600 });
  return folder;
}
