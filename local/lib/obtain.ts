/** Files that somebody else has built: from a mirror or from where their makers publish them, checked against a known sum. */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import known from "../downloads.json" with { type: "json" };
import { stopSignal, UserError } from "./steps.ts";

export interface Download {
  /** Where it is in a mirror, and its name in downloads.json, for example `release/v1.34.4/bin/linux/amd64/kubelet`. */
  path: string;
  /** Where its makers publish it. */
  url: string;
}

/** Neither the mirror nor its makers' site has the file in reach, or nothing is known to check it against. */
export class Unobtainable extends UserError {
  override name = "Unobtainable";
}

/** How downloads name this machine's processor. */
export const architecture = process.arch === "arm64" ? "arm64" : "amd64";

/** The folder or web address that BERTH_MIRROR names; it goes before the internet. */
export const mirror = (): string | undefined => process.env.BERTH_MIRROR || undefined;
/** Whether the sums in the mirror's own SHA256SUMS count too. */
const mirrorIsTrusted = () => process.env.BERTH_MIRROR_TRUSTED === "1";

const knownSums = new Map(known.flatMap(({ sha256 }) => Object.entries(sha256)));

/** Sum per path of a list in the format of `sha256sum`. Pure. */
export function parseSums(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => /^([0-9a-f]{64})\s+[*]?(?:\.\/)?(\S+)$/.exec(line.trim()));
  return new Map(lines.flatMap((match) => (match?.[1] && match[2] ? [[match[2], match[1]] as const] : [])));
}

/**
 * Writes the file to `target`, its sum checked; prints a line where it is not what its makers publish.
 * @param sums by path. Default: those of downloads.json
 * @throws Unobtainable when it can't be had
 * @throws UserError when it has another sum than it should
 */
export async function obtain({ path, url }: Download, target: string, sums = knownSums): Promise<void> {
  const sum = sums.get(path);
  const from = mirror();
  if (from !== undefined && (await copy(from, path, target))) return await checkMirrored(from, path, target, sum);
  const lacks = from === undefined ? "BERTH_MIRROR names no mirror" : `the mirror ${from} lacks ${path}`;
  if (sum === undefined)
    throw new Unobtainable(`${url} is not downloaded, because nobody has published its SHA-256, and ${lacks}.`);
  try {
    await download(url, target);
  } catch (error) {
    stopSignal().throwIfAborted();
    throw new Unobtainable(
      `${url} can't be downloaded (${reason(error)}), and ${lacks}. ` +
        "Connect this machine to the internet, or download the file elsewhere into a folder and name it in BERTH_MIRROR.",
    );
  }
  const found = await sumOf(target);
  if (found !== sum)
    throw new UserError(
      `${url} has the SHA-256 ${found}, but should have ${sum}, so it is not used. Run the command again; if the sum is the same, name a mirror in BERTH_MIRROR (docs/air-gapped.md).`,
    );
}

/**
 * The same for a compressed tar, whose files it puts into `dir`.
 * @param strip how many folders the files are in inside the tar. Default 0.
 */
export async function obtainPacked(download: Download, dir: string, strip = 0): Promise<void> {
  const archive = join(dir, ".archive");
  await obtain(download, archive);
  const options = ["--extract", "--gzip", "--no-same-owner", `--strip-components=${strip}`];
  await execa("tar", [...options, "--file", archive, "--directory", dir], { cancelSignal: stopSignal() });
  await rm(archive);
}

async function checkMirrored(from: string, path: string, target: string, sum: string | undefined): Promise<void> {
  const found = await sumOf(target);
  if (found === sum) return;
  const own = parseSums(await text(from, "SHA256SUMS")).get(path);
  const should = sum === undefined ? "has no published one" : `should have ${sum}`;
  if (found !== own)
    throw new UserError(
      `${path} of the mirror ${from} has the SHA-256 ${found}, but ${should}. Bring the file there anew (docs/air-gapped.md).`,
    );
  if (!mirrorIsTrusted())
    throw new UserError(
      `${path} of the mirror ${from} has the SHA-256 ${found}, but ${should}. The mirror's own SHA256SUMS names it: ` +
        "if you trust who made the mirror, set BERTH_MIRROR_TRUSTED=1.",
    );
  console.log(`  not official: ${path}, of the mirror ${from}`);
}

const isWeb = (from: string) => /^https?:\/\//.test(from);

/** Copies a file of the mirror. Returns whether the mirror has it. */
async function copy(from: string, path: string, target: string): Promise<boolean> {
  if (isWeb(from)) {
    return await download(`${from.replace(/\/$/, "")}/${path}`, target).then(
      () => true,
      (error: Error) => {
        if (error.message === "HTTP 404") return false;
        throw new UserError(
          `${path} can't be had from the mirror ${from} (${reason(error)}): check the address in BERTH_MIRROR.`,
        );
      },
    );
  }
  if (!existsSync(join(from, path))) return false;
  await pipeline(createReadStream(join(from, path)), createWriteStream(target), { signal: stopSignal() });
  return true;
}

/** A file of the mirror as text; empty where it isn't there. */
async function text(from: string, path: string): Promise<string> {
  if (!isWeb(from)) return await readFile(join(from, path), "utf8").catch(() => "");
  const response = await fetch(`${from.replace(/\/$/, "")}/${path}`);
  return response.ok ? await response.text() : "";
}

/** Hosts that could not be reached; asked once per run, as the answer may take its time. */
const unreachable = new Map<string, unknown>();

async function download(url: string, target: string): Promise<void> {
  const { host } = new URL(url);
  if (unreachable.has(host)) throw unreachable.get(host);
  const signal = AbortSignal.any([stopSignal(), AbortSignal.timeout(600_000)]);
  const response = await fetch(url, { signal }).catch((error: unknown) => {
    unreachable.set(host, error);
    throw error;
  });
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
  await pipeline(Readable.fromWeb(response.body), createWriteStream(target));
}

async function sumOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

const reason = (error: unknown): string => {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message;
};
