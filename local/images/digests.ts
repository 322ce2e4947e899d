/** Asks a registry which digest a tag has. */
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** An entry of `registryAuth`, which is an argument of the docker provider. */
export interface RegistryAuth {
  /** The registry's address, for example http://127.0.0.1:5000. Without a scheme, https is used. */
  address: string;
  username?: string;
  password?: string;
  authDisabled?: boolean;
}

export interface ImageReference {
  /** The registry's host and port. */
  registry: string;
  repository: string;
  /** The image's tag or digest. */
  tag: string;
}

/** `debian:12` → registry-1.docker.io, library/debian, 12; pure. */
export function parseReference(name: string): ImageReference {
  const [, path = "", tag = "latest"] = /^(.+?)(?:@(sha256:.+)|:([^/:]+))?$/.exec(name)?.filter(Boolean) ?? [];
  const [first = "", ...rest] = path.split("/");
  if (rest.length > 0 && /[.:]|^localhost$/.test(first))
    return first === "docker.io" ? hub(rest, tag) : { registry: first, repository: rest.join("/"), tag };
  return hub([first, ...rest], tag);
}

const hub = (path: string[], tag: string): ImageReference => ({
  registry: "registry-1.docker.io",
  repository: path.length === 1 ? `library/${path[0]}` : path.join("/"),
  tag,
});

/** The value of the header Accept: the media types of the manifests that a registry may return for a tag. */
export const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/**
 * Returns the digest of the tag, `sha256:…`. For an image with several platforms, this is the digest of the image's index.
 * @param signal ends the wait for the registry; default none
 * @throws Error with the registry's answer
 */
export async function digestOf(name: string, auths: RegistryAuth[], signal?: AbortSignal): Promise<string> {
  const { registry, repository, tag } = parseReference(name);
  const auth = auths.find(({ address }) => hostOf(address) === registry);
  const scheme = auth?.address.startsWith("http://") ? "http" : "https";
  const url = `${scheme}://${registry}/v2/${repository}/manifests/${tag}`;
  const login = auth?.authDisabled ? undefined : (loginOf(auth) ?? dockerLogin(registry));
  const ask = (authorization?: string) =>
    fetch(url, {
      method: "HEAD",
      headers: { accept: manifestTypes, ...(authorization && { authorization }) },
      signal: signal ?? null,
    });
  let response = await ask();
  if (response.status === 401) response = await ask(await authorization(response, login, signal));
  const digest = response.headers.get("docker-content-digest");
  if (!response.ok || digest === null) throw new Error(`${url} answers ${response.status} ${response.statusText}`);
  return digest;
}

/**
 * Returns the value of the header Authorization that the registry's challenge asks for. @param login user and password, encoded
 * as for Basic
 */
async function authorization(
  response: Response,
  login: string | undefined,
  signal: AbortSignal | undefined,
): Promise<string | undefined> {
  const challenge = response.headers.get("www-authenticate") ?? "";
  if (!/^bearer /i.test(challenge)) return login && `Basic ${login}`;
  const parameter = (key: string) => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? "";
  const query = new URLSearchParams({ service: parameter("service"), scope: parameter("scope") });
  const headers: Record<string, string> = login ? { authorization: `Basic ${login}` } : {};
  const answer = await fetch(`${parameter("realm")}?${query}`, { headers, signal: signal ?? null });
  if (!answer.ok) throw new Error(`${parameter("realm")} gives no token: ${answer.status} ${answer.statusText}`);
  const { token, access_token } = (await answer.json()) as { token?: string; access_token?: string };
  return `Bearer ${token ?? access_token}`;
}

const hostOf = (address: string): string => address.replace(/^https?:\/\//, "").replace(/\/.*/, "");

const loginOf = (auth: RegistryAuth | undefined): string | undefined =>
  auth?.username && Buffer.from(`${auth.username}:${auth.password}`).toString("base64");

/** The name of a registry in the logins of Docker's settings. */
export const loginServer = (registry: string): string =>
  registry === "registry-1.docker.io" ? "https://index.docker.io/v1/" : registry;

/**
 * User and password of `docker login`, encoded as for Basic. Undefined if Docker's settings file has no login to the registry.
 */
function dockerLogin(registry: string): string | undefined {
  const file = join(process.env.DOCKER_CONFIG ?? join(homedir(), ".docker"), "config.json");
  try {
    const { auths } = JSON.parse(readFileSync(file, "utf8")) as { auths?: Record<string, { auth?: string }> };
    return auths?.[loginServer(registry)]?.auth;
  } catch {
    return undefined; // there are no settings
  }
}
