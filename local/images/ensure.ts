/** Fills the local registry with the base images: the originals if they can be obtained, else stand-ins. */
import { createHash } from "node:crypto";
import { cp, readdir, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { machine } from "../../machine/machine.ts";
import { clientError, docker } from "../docker.ts";
import type { Task, Tasks } from "../lib/graph.ts";
import { stopSignal, UserError } from "../lib/steps.ts";
import { type BaseImage, baseImages, debian } from "./list.ts";
import { isInRegistry, labelOf, localName, nameAlso, repositoryOf, restoreImage, saveImage } from "./registry.ts";

const { cacheDir, stateDir } = machine;

const standIns = join(dirname(fileURLToPath(import.meta.url)), "stand-ins");
const savedDir = join(cacheDir, "images");

/** The image label that marks a stand-in. The label's value is the version of the stand-in. */
const standInLabel = "dev.berth.stand-in";

/**
 * The tasks that put every base image into the local registry. If the local registry contains the original with the pinned digest,
 * or a stand-in of the current version, the tasks use that image and send no request to the image's own registry. Otherwise the
 * tasks pull the pinned original from there. If this is not possible, the tasks keep the original of another pin, take a stand-in
 * from this machine's cache, or make one.
 * @param needs the tasks that start the registry and the Docker daemon
 * @param compilers the tasks that compile the programs of the stand-in images, by program. Such a task is idle unless the image
 * with this program must be made
 */
export function imageTasks(needs: string[], compilers: Record<NonNullable<BaseImage["program"]>, Task>): Tasks {
  /** The images that must be made, with the versions of their stand-ins. The map is complete when the task `images` is done. */
  const lacking = new Map<BaseImage, string>();
  const lacks = (program: string) => [...lacking.keys()].some((image) => image.program === program);
  const compile = Object.entries(compilers).map(([program, task]) => [
    program,
    { ...task, computes: true, needs: ["images", ...(task.needs ?? [])], idle: () => !lacks(program) },
  ]);
  const make = baseImages.map((image) => [
    nameOf(image),
    {
      title: `Base image ${image.tag}`,
      needs: ["images", ...(image.program ? [image.program] : []), ...(image === debian ? [] : [nameOf(debian)])],
      idle: () => !lacking.has(image),
      run: () => makeStandIn(image, lacking.get(image) as string),
    },
  ]);
  const obtain = async () => {
    const done = await Promise.all(baseImages.map((image) => obtainImage(image, lacking)));
    return [...new Set(done)].map((what) => `${done.filter((each) => each === what).length} ${what}`).join(", ");
  };
  return {
    images: { title: "Base images", needs, run: obtain },
    ...Object.fromEntries(compile),
    ...Object.fromEntries(make),
  };
}

const nameOf = ({ recipe }: BaseImage) => `image-${recipe}`;

/** Returns a text for the step's line. Adds an image that can't be obtained to `lacking`, with the version of its stand-in. */
async function obtainImage(image: BaseImage, lacking: Map<BaseImage, string>): Promise<string> {
  if (await isInRegistry(pinnedName(image))) {
    await nameAlso(pinnedName(image), image.tag); // the tag may name an original of another pin
    return "there";
  }
  const version = await versionOf(image);
  const label = await labelOf(image.tag, standInLabel);
  if (label === version) return "there";
  if ((await reachable(image.tag)) && (await pull(image))) return "pulled";
  if (label === null) return "originals kept from before"; // an original is closer to the pinned image than a stand-in is
  if (await restoreImage(image.tag, savedDir, keyOf(image, version))) return "stand-ins from the cache";
  lacking.set(image, version);
  return "to be made";
}

/**
 * A second name of the pinned original in the local registry. The original's digest is a part of the name, because the copy
 * itself, which is for one platform, has another digest.
 */
const pinnedName = ({ tag, digest }: BaseImage) => `${repositoryOf(tag)}:pinned-${digest.replace("sha256:", "")}`;

const keyOf = ({ recipe }: BaseImage, version: string) => `${recipe}-${version}`;

async function makeStandIn(image: BaseImage, version: string): Promise<string> {
  await build(image, version);
  await saveImage(image.tag, savedDir, keyOf(image, version));
  return "stand-in made";
}

const registries = new Map<string, Promise<boolean>>();

/** Whether the image's own registry answers within three seconds. Each registry is asked once. */
function reachable(name: string): Promise<boolean> {
  const host = name.replace(/\/.*/, "").replace(/^docker\.io$/, "registry-1.docker.io");
  const ask = () =>
    fetch(`https://${host}/v2/`, { method: "HEAD", signal: AbortSignal.timeout(3_000) }).then(
      () => true, // 401 is an answer too
      () => false,
    );
  if (!registries.has(host)) registries.set(host, ask());
  return registries.get(host) as Promise<boolean>;
}

/**
 * Copies the pinned original into the local registry, for this machine's platform. Returns false if the image's registry refuses,
 * for example because of a rate limit.
 */
async function pull(image: BaseImage): Promise<boolean> {
  const { tag, digest } = image;
  const original = `${repositoryOf(tag)}@${digest}`;
  try {
    await docker(["pull", "--quiet", original]);
  } catch {
    stopSignal().throwIfAborted();
    return false;
  }
  await docker(["tag", original, localName(tag)]);
  await docker(["push", "--quiet", localName(tag)]);
  await nameAlso(tag, pinnedName(image));
  return true;
}

async function build(image: BaseImage, version: string): Promise<void> {
  // The folder is always the same, so that the next run removes the files of a killed run.
  const context = join(stateDir, "image-build", image.recipe);
  await rm(context, { recursive: true, force: true });
  try {
    await cp(join(standIns, image.recipe), context, { recursive: true });
    for (const ingredient of image.ingredients ?? []) await ingredient.make(context);
    const settings = [`--label=${standInLabel}=${version}`, `--build-arg=DEBIAN_IMAGE=${localName(debian.tag)}`];
    await docker(["build", "--pull", "--network=host", "--tag", localName(image.tag), ...settings, context]);
  } catch (error) {
    stopSignal().throwIfAborted();
    throw new UserError(
      `${image.tag} could not be made:\n${clientError(error)}\nIf packages could not be fetched, check the network. Then run the command again.`,
    );
  } finally {
    await rm(context, { recursive: true, force: true });
  }
  await docker(["push", "--quiet", localName(image.tag)]);
}

async function versionOf(image: BaseImage): Promise<string> {
  const dir = join(standIns, image.recipe);
  const files: Record<string, string> = {};
  for (const name of await readdir(dir)) files[name] = await readFile(join(dir, name), "utf8");
  const ingredients = await Promise.all((image.ingredients ?? []).map((ingredient) => ingredient.version()));
  return recipeHash(files, ingredients, image === debian ? process.arch : await versionOf(debian));
}

/**
 * The version of a stand-in: a short hash of the recipe's files (path → content), of the ingredients' versions, and of the parent
 * image's version.
 */
export function recipeHash(files: Record<string, string>, ingredients: string[], parent: string): string {
  const paths = Object.keys(files).sort();
  const hashed = [parent, ...ingredients, ...paths.flatMap((path) => [path, files[path]])];
  return createHash("sha256").update(JSON.stringify(hashed)).digest("hex").slice(0, 16);
}
