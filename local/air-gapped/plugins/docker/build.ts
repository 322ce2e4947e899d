/** Builds an image and pushes it. */
import { posix, relative } from "node:path";
import { Readable } from "node:stream";
import { pack } from "tar-fs";
import { dockerLogin, hostOf, parseReference } from "../../../images/digests.ts";
import { builtFiles } from "./context.ts";
import { callDaemon } from "./daemon.ts";
import { withSession } from "./session.ts";

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

/**
 * @param host of the Docker daemon
 * @returns the pushed image by digest, for example 127.0.0.1:5000/berth/api@sha256:…
 */
export async function buildAndPush(image: ImageInputs, host: string, signal: AbortSignal): Promise<string> {
  const { imageName, build } = image;
  const failed = (what: string) => (error: Error) => {
    throw new Error(`${imageName} can't be ${what}: ${error.message}`);
  };
  await withSession(host, signal, (session) => {
    const query = { ...buildQuery(imageName, build), session };
    return callDaemon(host, { path: "/build", query, body: contextOf(build), signal });
  }).catch(failed("built"));
  const [name, tag = "latest"] = imageName.split(/:(?=[^/:]*$)/);
  const headers = { "x-registry-auth": Buffer.from(JSON.stringify(loginOf(image))).toString("base64url") };
  const told = await callDaemon(host, { path: `/images/${name}/push`, query: { tag }, headers, signal }).catch(
    failed("pushed"),
  );
  const digest = told.find(({ aux }) => aux?.Digest)?.aux?.Digest;
  if (digest === undefined) throw new Error(`Docker told no digest of ${imageName}, which it pushed.`);
  return `${name}@${digest}`;
}

const buildQuery = (imageName: string, build: ImageInputs["build"]): Record<string, string> => ({
  // BuildKit.
  version: "2",
  t: imageName,
  dockerfile: dockerfileOf(build),
  platform: build.platform,
  ...(build.network && { networkmode: build.network }),
  ...(build.args && { buildargs: JSON.stringify(build.args) }),
});

/** As the archive has it, into which it goes whatever the ignore file says. */
export const dockerfileOf = ({ context, dockerfile }: ImageInputs["build"]): string =>
  posix.normalize(relative(context, dockerfile));

const contextOf = (build: ImageInputs["build"]) =>
  Readable.from(
    pack(build.context, {
      entries: [...new Set([dockerfileOf(build), ...builtFiles(build.context, build.dockerfile)])],
      map: (header) => ({ ...header, uid: 0, gid: 0, uname: "", gname: "" }),
    }),
  );

/** The image's own login, else that of `docker login`. */
function loginOf({ imageName, registry }: ImageInputs): object {
  if (registry)
    return { username: registry.username, password: registry.password, serveraddress: hostOf(registry.server) };
  const server = parseReference(imageName).registry;
  const [username, password] = Buffer.from(dockerLogin(server) ?? "", "base64")
    .toString()
    .split(/:(.*)/s);
  return username ? { username, password, serveraddress: server } : {};
}
