/** Tests which images a stack uses, and which registry is asked for their digests. */
import { globSync, readFileSync } from "node:fs";
import { join, matchesGlob } from "node:path";
import { beforeEach, expect, test, vi } from "vitest";
import { shellLine } from "../../../local/pulumi/stack.ts";
import { copies } from "../../../tools/update-images.ts";
import { digestOf, type RecordedResource, recordStack } from "../../testing/record.ts";
import pinned from "./base-images.json" with { type: "json" };
import { baseImageName, imageTags, pinnedImages } from "./pinned.ts";

beforeEach(() => {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

const refuseLookups = (name: string): string => {
  throw new Error(`${name} was looked up`);
};

/** The third-party images of containers and the base images of Berth's own images, without duplicates. */
function thirdPartyImages(resources: RecordedResource[]): string[] {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value))
      if (typeof inner === "string" && (key === "image" || /_IMAGE$/.test(key))) found.add(inner);
      else visit(inner);
  };
  for (const { inputs } of resources) visit(inputs);
  return [...found].filter((image) => !/\/berth\/(api|agent|berthd)@/.test(image)).sort();
}

/** A tenant whose entry has no `images`. The digests of tenants' own images are not in base-images.json. */
const tenants = [{ name: "acme" }];

test("the stack prod uses every image by its committed digest and asks no registry", async () => {
  const images = thirdPartyImages(await recordStack("prod", { tenants }, refuseLookups));
  expect(images).toEqual(
    Object.values(pinned)
      .map(({ tag, digest }) => `${tag}@${digest}`)
      .sort(),
  );
});

test("the stack expects the same digests in a mirror", async () => {
  const images = thirdPartyImages(
    await recordStack("prod", { tenants, baseRegistry: "mirror.example.com/hub" }, refuseLookups),
  );
  expect(images).toContain(`mirror.example.com/hub/${pinned.postgres.tag}@${pinned.postgres.digest}`);
  expect(images).toEqual(Object.values(pinnedImages("mirror.example.com/hub")).sort());
});

test("the stack asks a registry on the machine itself for the digests", async () => {
  const images = thirdPartyImages(await recordStack("dev"));
  const names = Object.values(imageTags).map((tag) => baseImageName("127.0.0.1:5000", tag));
  expect(images).toEqual(names.map((name) => `${name}@${digestOf(name)}`).sort());
});

test.each(Object.values(pinned))("$tag has a digest that its registry or two public repositories name", (image) => {
  expect(image.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  // `seenIn` lists repositories that have the digest. `npm run images:update` removes the list when it replaces the digest
  // by a newer one from the tag's own registry.
  const { seenIn } = image as { seenIn?: string[] };
  if (seenIn) expect(new Set(seenIn.map((repository) => repository.split("/")[0])).size).toBeGreaterThanOrEqual(2);
});

const root = join(import.meta.dirname, "../../..");
const committed = Object.values(pinnedImages(""));

/** Replaces `${NAME-default}` and `${NAME:-default}` as Docker Compose does. */
const interpolated = (text: string, variables: Record<string, string>) =>
  text.replace(/\$\{(\w+)(:?)-([^}]*)\}/g, (_, name: string, colon: string, other: string) => {
    const value = variables[name];
    return value === undefined || (colon && value === "") ? other : value;
  });
/** The images in compose.yaml and the base images of its builds, without Berth's own images. */
const composeImages = (variables: Record<string, string>) =>
  [...readFileSync(join(root, "compose.yaml"), "utf8").matchAll(/(?:image|[A-Z_]+_IMAGE): (\S+)/g)]
    .map(([, image = ""]) => interpolated(image, variables))
    .filter((image) => !image.startsWith("berth/"));

test("compose.yaml uses the committed images, or after `npm run env` those of the machine's own registry", () => {
  const images = composeImages({});
  expect(images).toHaveLength(3);
  expect(committed).toEqual(expect.arrayContaining(images));
  const [, shell = ""] = /^export (.*)$/.exec(shellLine()) ?? [];
  const variables = Object.fromEntries([...shell.matchAll(/(\w+)='([^']*)'/g)].map(([, key, value]) => [key, value]));
  const own = Object.values(imageTags).map((tag) => baseImageName("127.0.0.1:5000", tag));
  expect(own).toEqual(expect.arrayContaining(composeImages(variables)));
});

test.each(globSync("images/*/Dockerfile", { cwd: root }))("%s uses committed base images by default", (file) => {
  const defaults = [...readFileSync(join(root, file), "utf8").matchAll(/^ARG \w+_IMAGE=(\S+)/gm)].map(
    ([, image]) => image,
  );
  expect(defaults).not.toEqual([]);
  expect(committed).toEqual(expect.arrayContaining(defaults));
});

test("`npm run images:update` updates every file that contains a committed digest", () => {
  const names = (file: string) =>
    Object.values(pinned).some(({ digest }) => readFileSync(join(root, file), "utf8").includes(digest));
  const files = ["compose*.yaml", "docs/*", "images/*/Dockerfile", ".github/**/*.yml", "Pulumi*.yaml"];
  expect(
    files
      .flatMap((pattern) => globSync(pattern, { cwd: root }))
      .filter(names)
      .sort(),
  ).toEqual(copies);
});

/** The paths that Renovate's preset `config:recommended` ignores, unless the config has `ignorePaths` of its own. */
const recommended = [
  ...["node_modules", "bower_components", "vendor", "examples"],
  ...["__tests__", "test", "tests", "__fixtures__"],
].map((folder) => `**/${folder}/**`);

test("Renovate updates every package and Go module of the repository, also those of tests and examples", () => {
  const { ignorePaths = recommended } = JSON.parse(readFileSync(join(root, ".github/renovate.json"), "utf8"));
  // Renovate's patterns also match a path that begins with the folder, and `matchesGlob` agrees.
  const isIgnored = (file: string) => ignorePaths.some((pattern: string) => matchesGlob(file, pattern));
  const here = globSync("**/{package.json,go.mod}", { cwd: root, exclude: (name) => name === "node_modules" });
  expect(here).toContain("tests/package.json");
  expect(here.filter(isIgnored)).toEqual([]);
  expect(["node_modules/zod/package.json", "tests/node_modules/zod/package.json"].every(isIgnored)).toBe(true);
});

/** The images that Renovate finds in the file by the pattern of this number in renovate.json, as `name:tag@digest`. */
function foundByRenovate(manager: number, file: string): string[] {
  const renovate = JSON.parse(readFileSync(join(root, ".github/renovate.json"), "utf8"));
  const [pattern] = renovate.customManagers[manager].matchStrings;
  const found = [...readFileSync(join(root, file), "utf8").matchAll(new RegExp(pattern, "g"))];
  return found.map(
    ({ groups: { depName, currentValue, currentDigest } = {} }) => `${depName}:${currentValue}@${currentDigest}`,
  );
}

test("Renovate finds every base image in the list and in each copy, and writes entries of the list's form", () => {
  const list = "infra/images/base-images/base-images.json";
  expect(foundByRenovate(0, list)).toEqual(committed);
  for (const file of copies) {
    const digests = readFileSync(join(root, file), "utf8").match(/sha256:[0-9a-f]{64}/g);
    const found = foundByRenovate(1, file);
    expect(found, file).toHaveLength(digests?.length ?? 0);
    expect(committed).toEqual(expect.arrayContaining(found));
  }
  const [{ matchStrings, autoReplaceStringTemplate }] = JSON.parse(
    readFileSync(join(root, ".github/renovate.json"), "utf8"),
  ).customManagers;
  const written = autoReplaceStringTemplate.replace(/\{\{\{(\w+)\}\}\}/g, "$1");
  const text = readFileSync(join(root, list), "utf8").replace(new RegExp(matchStrings[0], "g"), written);
  for (const entry of Object.values(JSON.parse(text)))
    expect(entry).toEqual({ tag: "depName:newValue", digest: "newDigest" });
});

test("the example of a log shipper uses its image by digest", () => {
  const [image] = /image: (\S+)/.exec(readFileSync(join(root, "docs/fluent-bit.yaml"), "utf8"))?.slice(1) ?? [];
  expect(image).toMatch(/^cr\.fluentbit\.io\/fluent\/fluent-bit:\d+\.\d+\.\d+@sha256:[0-9a-f]{64}$/);
});
