/** The downloads that make a Pulumi: their names, where they come from, and the sums they must have. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { UserError } from "../lib/steps.ts";

export interface Archive {
  /** File name, the same in a mirror and on the official site. */
  file: string;
  url: string;
  /** The sums that Pulumi publishes with the release. */
  checksumsUrl: string;
}

/** Neither the mirror nor the official site has the archive in reach. */
export class Unobtainable extends UserError {
  override name = "Unobtainable";
}

/** Sums of builds that were tried with Berth. */
const known: Record<string, string> = {
  "pulumi-v3.258.0-linux-x64.tar.gz": "d7145f061eb39f6c8d197279e6759300d81a14e4c9ca963c8de4b3850b981155",
  "pulumi-resource-kubernetes-v4.32.0-linux-amd64.tar.gz":
    "967829652911a2f21688e407659db6667c1168fd80eac44a9fd7e03ea5533c54",
  "pulumi-resource-random-v4.21.1-linux-amd64.tar.gz":
    "aff695388f02ba1762129f3debb1c698d80083434e580482790f1279173dd518",
  "pulumi-resource-docker-v5.2.0-linux-amd64.tar.gz":
    "63669dae9e86233647fe426ac67a6b466c273083661db95fa4451423f1656764",
};

/** The command line, which brings the language host for Node. */
export const cliArchive = (version: string, arch = process.arch): Archive => {
  const file = `pulumi-v${version}-linux-${arch === "arm64" ? "arm64" : "x64"}.tar.gz`;
  const site = "https://get.pulumi.com/releases/sdk";
  return { file, url: `${site}/${file}`, checksumsUrl: `${site}/pulumi-${version}-checksums.txt` };
};

/** A resource plugin, e.g. `kubernetes`. */
export const pluginArchive = (name: string, version: string, arch = process.arch): Archive => {
  const file = `pulumi-resource-${name}-v${version}-linux-${arch === "arm64" ? "arm64" : "amd64"}.tar.gz`;
  const releases = `https://github.com/pulumi/pulumi-${name}/releases/download/v${version}`;
  return {
    file,
    url: `https://get.pulumi.com/releases/plugins/${file}`,
    checksumsUrl: `${releases}/pulumi-${name}_${version}_checksums.txt`,
  };
};

/** The folder of downloads that BERTH_MIRROR names. It is used before the internet; without the variable no mirror is used. */
export const mirrorDir = (): string | undefined => process.env.BERTH_MIRROR || undefined;

/** Sum per file name of a list in the format of `sha256sum`. Pure. */
export function parseSums(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => /^([0-9a-f]{64})\s+[*]?(\S+)$/.exec(line.trim()));
  return new Map(lines.flatMap((match) => (match?.[1] && match[2] ? [[match[2], match[1]] as const] : [])));
}

/**
 * Brings the archive to `target`'s folder or names the mirror's own file.
 * @param target file to download to
 * @returns the file to unpack, its sum checked
 * @throws Unobtainable when it can't be had
 * @throws UserError when it has another sum than it should
 */
export async function obtain(archive: Archive, target: string): Promise<string> {
  const mirror = mirrorDir();
  if (mirror !== undefined) {
    const mirrored = join(mirror, archive.file);
    if (existsSync(mirrored)) return await check(mirrored, mirrorSum(archive.file, mirror));
  }
  try {
    await download(archive.url, target);
  } catch (error) {
    const lacks = mirror === undefined ? "BERTH_MIRROR names no mirror" : `the mirror ${mirror} lacks ${archive.file}`;
    throw new Unobtainable(
      `${archive.url} can't be downloaded (${reason(error)}), and ${lacks}. ` +
        "Connect this machine to the internet, or download the file elsewhere into a folder and name it in BERTH_MIRROR.",
    );
  }
  return await check(target, await officialSum(archive));
}

/** A mirror may hold other builds, if its own SHA256SUMS vouches for them. */
function mirrorSum(file: string, mirror: string): string[] {
  const list = join(mirror, "SHA256SUMS");
  const own = existsSync(list) ? parseSums(readFileSync(list, "utf8")).get(file) : undefined;
  return [known[file], own].filter((sum) => sum !== undefined);
}

/** The sum in the release's own list; empty where Pulumi publishes none. */
async function officialSum({ file, checksumsUrl }: Archive): Promise<string[]> {
  const response = await fetch(checksumsUrl, { signal: AbortSignal.timeout(60_000) }).catch(() => undefined);
  const sum = response?.ok ? parseSums(await response.text()).get(file) : undefined;
  return sum === undefined ? [] : [sum];
}

/** Hosts that could not be reached; asked once per run, as the answer may take its time. */
const unreachable = new Map<string, unknown>();

async function download(url: string, target: string): Promise<void> {
  const { host } = new URL(url);
  if (unreachable.has(host)) throw unreachable.get(host);
  const response = await fetch(url, { signal: AbortSignal.timeout(600_000) }).catch((error: unknown) => {
    unreachable.set(host, error);
    throw error;
  });
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(target));
}

/** @param sums the sums it may have; with none, nothing is known that it could be checked against */
async function check(file: string, sums: string[]): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  const sum = hash.digest("hex");
  if (sums.length > 0 && !sums.includes(sum))
    throw new UserError(
      `${file} has the SHA-256 ${sum}, but should have ${sums.join(" or ")}. Remove it and try again.`,
    );
  return file;
}

const reason = (error: unknown): string => {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message;
};
