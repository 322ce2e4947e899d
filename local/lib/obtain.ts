/**
 * Obtains files that other projects publish, from a mirror or from the project's site. The SHA-256 of each file must be in
 * downloads.json, or in the list SHA256SUMS of a mirror that the user trusts.
 */
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, existsSync } from "node:fs";
import { chmod, copyFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import known from "../downloads.json" with { type: "json" };
import { buildOnce } from "./go.ts";
import { stopSignal, UserError } from "./steps.ts";

export interface Download {
  /** The file's path in a mirror, and its name in downloads.json, for example `release/v1.34.4/bin/linux/amd64/kubelet`. */
  path: string;
  /** The address at which the project publishes the file. */
  url: string;
}

/** Programs that a project publishes in one file. */
export interface Published extends Download {
  /** The program's name, if the file is a single program. Default: the file is a compressed tar that contains programs. */
  program?: string;
  /** How many leading folders to remove from the paths in the tar. Default: 0. */
  strip?: number;
  /** Returns the programs' files if the programs are installed on this machine; else undefined. */
  installed: () => Promise<string[] | undefined>;
}

/** No mirror has the file, and Berth can't download the file from the project's site or does not know its SHA-256. */
export class Unobtainable extends UserError {
  override name = "Unobtainable";
}

/** This machine's processor, as the names of downloads spell it. */
export const architecture = process.arch === "arm64" ? "arm64" : "amd64";

/** The folder or web address of the mirror, from BERTH_MIRROR. The mirror is tried before the internet. */
export const mirror = (): string | undefined => process.env.BERTH_MIRROR || undefined;
/** Whether the checksums in the mirror's own SHA256SUMS are accepted too. */
const mirrorIsTrusted = () => process.env.BERTH_MIRROR_TRUSTED === "1";

const knownSums = new Map(known.flatMap(({ sha256 }) => Object.entries(sha256)));

/** Reads a list in the format of `sha256sum`. Returns the checksums by path. Pure. */
export function parseSums(text: string): Map<string, string> {
  const lines = text.split("\n").map((line) => /^([0-9a-f]{64})\s+[*]?(?:\.\/)?(\S+)$/.exec(line.trim()));
  return new Map(lines.flatMap((match) => (match?.[1] && match[2] ? [[match[2], match[1]] as const] : [])));
}

/**
 * Writes the file to `target` and checks its SHA-256. Prints a line if only the list of the mirror confirms the SHA-256.
 * @param sums the known checksums, by path. Default: those of downloads.json
 * @throws Unobtainable when the file can't be obtained
 * @throws UserError when the file has a wrong checksum, or when a web mirror does not answer or has an error
 */
export async function obtain({ path, url }: Download, target: string, sums = knownSums): Promise<void> {
  const sum = sums.get(path);
  const from = mirror();
  if (from !== undefined) {
    const found = await copy(inMirror(from, path), target).catch((error: unknown) => {
      stopSignal().throwIfAborted();
      throw new UserError(
        `${path} can't be downloaded from the mirror ${from} (${reason(error)}): check the address in BERTH_MIRROR.`,
      );
    });
    if (found !== undefined) return await checkMirrored(from, path, found, sum);
  }
  const lacks = from === undefined ? "BERTH_MIRROR names no mirror" : `the mirror ${from} lacks ${path}`;
  if (sum === undefined)
    throw new Unobtainable(`${url} is not downloaded, because nobody has published its SHA-256, and ${lacks}.`);
  const found = await copy(url, target).catch((error: Error) => error);
  stopSignal().throwIfAborted();
  if (typeof found !== "string")
    throw new Unobtainable(
      `${url} can't be downloaded (${found ? reason(found) : "HTTP 404"}), and ${lacks}. ` +
        "Connect this machine to the internet, or download the file elsewhere into a folder and name it in BERTH_MIRROR.",
    );
  if (found !== sum)
    throw new UserError(
      `${url} has the SHA-256 ${found}, but should have ${sum}, so it is not used. Run the command again. If the file still has a wrong SHA-256, name a mirror in BERTH_MIRROR (docs/air-gapped.md).`,
    );
}

/**
 * Puts the programs into `dir`: copies installed programs, and obtains other programs from the mirror or the project's site.
 * Returns a text for the step's line.
 * @throws the errors of `obtain`
 */
export async function take({ program, strip = 0, installed, ...download }: Published, dir: string): Promise<string> {
  const files = await installed();
  for (const file of files ?? []) await copyFile(file, join(dir, basename(file)));
  if (files) return "copied from this machine";
  const target = join(dir, program ?? ".archive");
  await obtain(download, target);
  if (program) await chmod(target, 0o755);
  else {
    const options = ["--extract", "--gzip", "--no-same-owner", `--strip-components=${strip}`];
    await execa("tar", [...options, "--file", target, "--directory", dir], { cancelSignal: stopSignal() });
    await rm(target);
  }
  return "installed";
}

/**
 * Fills `dir` with all of the programs. `dir` appears only when it is complete.
 * @returns a text for the step's line; the reason if a program can't be obtained
 * @throws UserError when a file has a wrong checksum
 */
export async function takeOnce(dir: string, all: Published[]): Promise<string | Unobtainable> {
  const fill = async (to: string) => {
    const done: string[] = [];
    for (const each of all) done.push(await take(each, to));
    return [...new Set(done)].join(" and ");
  };
  return await buildOnce(dir, fill).catch(unobtainable);
}

/** Returns the error if it is an `Unobtainable`. @throws every other error */
export function unobtainable(error: unknown): Unobtainable {
  if (error instanceof Unobtainable) return error;
  throw error;
}

/** @param found the file's SHA-256. `sum` is the SHA-256 that the file should have; undefined if it is not known */
async function checkMirrored(from: string, path: string, found: string, sum: string | undefined): Promise<void> {
  if (found === sum) return;
  const list = await open(inMirror(from, "SHA256SUMS"));
  const own = parseSums(list ? await text(list) : "").get(path);
  const should = sum === undefined ? "no SHA-256 of it is published" : `should have ${sum}`;
  if (found !== own)
    throw new UserError(
      `${path} of the mirror ${from} has the SHA-256 ${found}, but ${should}. Copy the file to the mirror again (docs/air-gapped.md).`,
    );
  if (!mirrorIsTrusted())
    throw new UserError(
      `${path} of the mirror ${from} has the SHA-256 ${found}, but ${should}. The mirror's own SHA256SUMS names it: ` +
        "if you trust who made the mirror, set BERTH_MIRROR_TRUSTED=1.",
    );
  console.log(`  not official: ${path}, of the mirror ${from}`);
}

/** The place of a file in a mirror, which is a folder or a web address. */
const inMirror = (from: string, path: string) => `${from.replace(/\/$/, "")}/${path}`;

/** Copies the file in this place. Returns the SHA-256 of the copy; undefined if there is no such file. */
async function copy(place: string, target: string): Promise<string | undefined> {
  const content = await open(place);
  if (content === undefined) return undefined;
  await pipeline(content, createWriteStream(target), { signal: stopSignal() });
  const hash = createHash("sha256");
  await pipeline(createReadStream(target), hash);
  return hash.digest("hex");
}

/** Hosts that could not be reached, with the error. A run does not try such a host again, because a failed try may take long. */
const unreachable = new Map<string, unknown>();

/** Opens the file at this path or web address. Returns undefined if there is no such file. */
async function open(place: string): Promise<Readable | undefined> {
  if (!/^https?:\/\//.test(place)) return existsSync(place) ? createReadStream(place) : undefined;
  const { host } = new URL(place);
  if (unreachable.has(host)) throw unreachable.get(host);
  const signal = AbortSignal.any([stopSignal(), AbortSignal.timeout(600_000)]);
  const response = await fetch(place, { signal }).catch((error: unknown) => {
    unreachable.set(host, error);
    throw error;
  });
  if (response.status === 404) return undefined;
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
  return Readable.fromWeb(response.body);
}

const reason = (error: unknown): string => {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code || message : message;
};
