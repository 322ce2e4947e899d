/**
 * Tests which changes of the checkout make a new image. Berth's stand-in for Pulumi's Docker plugin compares the images' inputs
 * before and after a change. rebuild.proof.test.ts does the same with the plugin that Pulumi uses on this machine.
 */
import { appendFile, chmod, mkdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { contextDigest } from "../infra/images/context.ts";
import { digestOf, type RecordedResource, recordStack } from "../infra/testing/record.ts";
import { imageResource } from "../local/air-gapped/plugins/docker/image.ts";
import { type Props, secret } from "../local/air-gapped/plugins/protocol/values.ts";
import { root } from "../machine/machine.ts";
import { copyOfCheckout } from "../tests/checkout.ts";

let deployed: RecordedResource[];

beforeAll(async () => {
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  deployed = await program();
});

const image = imageResource("unix:///no/daemon/is/asked");

/** The inputs of the images, by name, as Pulumi stores them. Paths in the inputs are relative to the program's folder. */
async function inputsIn(checkout: string, resources: RecordedResource[]): Promise<Map<string, Props>> {
  const before = process.cwd();
  process.chdir(join(checkout, "infra"));
  try {
    const inputs = new Map<string, Props>();
    for (const { name, inputs: news } of resources.filter(({ type }) => type === "docker:index/image:Image"))
      inputs.set(name, await image.check({ name, olds: {}, news: news as Props, seed: new Uint8Array() }));
    return inputs;
  } finally {
    process.chdir(before);
  }
}

/** The stack's resources. Resets the modules first, because the program runs only when it is imported again. */
async function program(baseDigest = digestOf, changes = {}): Promise<RecordedResource[]> {
  vi.resetModules();
  return await recordStack("dev", changes, baseDigest);
}

/**
 * The names of the images that `pulumi up` would build again. `before`: the inputs of the images that are deployed. `after`: the
 * inputs of the images in the changed checkout.
 */
async function rebuilt(before: Map<string, Props>, after: Map<string, Props>): Promise<string[]> {
  const names: string[] = [];
  for (const [name, inputs] of after) {
    const state = { __inputs: secret(before.get(name)) };
    if ((await image.diff({ id: name, state, inputs })).changed.length > 0) names.push(name);
  }
  return names;
}

/** A copy of the checkout, and functions to change it. */
async function openClone() {
  const clone = await copyOfCheckout();
  onTestFinished(() => rm(clone, { recursive: true }));
  const write = async (file: string, text: string) => {
    await mkdir(dirname(join(clone, file)), { recursive: true });
    await writeFile(join(clone, file), text);
  };
  return { clone, write, append: (file: string, text: string) => appendFile(join(clone, file), text) };
}

test("another clone with other file dates, and new files that no Dockerfile copies, make no new image", async () => {
  const { clone, write, append } = await openClone();
  for (const file of ["runtime/src/main.ts", "images/agent/files/usr/local/bin/berth-terminal", "package-lock.json"])
    await utimes(join(clone, file), 0, 0);
  for (const file of ["README.md", "docs/api.md", "infra/index.ts", "images/berthd/README.md"])
    await append(file, "something else\n");
  for (const file of [
    "new",
    "images/new",
    "runtime/dist/main.js",
    "runtime/node_modules/new/index.js",
    "runtime/src/new.test.ts",
    "runtime/src/testing/new.ts",
    "images/berthd/new_test.go",
    "images/berthd/internal/testservice/new.go",
    "images/berthd/proto/berth/v1/new.proto",
  ])
    await write(file, "");
  const before = await inputsIn(root, deployed);
  expect([...before.keys()]).toEqual(["images-agent", "images-api", "images-berthd"]);
  expect(await rebuilt(before, await inputsIn(clone, deployed))).toEqual([]);
});

test("a change of a file makes exactly those images new whose Dockerfiles copy the file", async () => {
  const { clone, write, append } = await openClone();
  let before = await inputsIn(clone, deployed);
  const changes = [
    ["images-api", () => append("runtime/src/main.ts", "// one line\n")],
    ["images-api", () => write("runtime/src/new.ts", "")],
    ["images-api", () => append("package-lock.json", "\n")],
    ["images-api", () => append("images/api/Dockerfile", "# one line\n")],
    ["images-agent", () => append("images/agent/files/usr/local/bin/berth-terminal", "# one line\n")],
    ["images-agent", () => chmod(join(clone, "images/agent/files/etc/berth/terminal.xresources"), 0o755)],
    ["images-agent", () => rm(join(clone, "images/agent/files/etc/xdg/openbox/menu.xml"))],
    ["images-agent", () => append("images/agent/Dockerfile", "# one line\n")],
    ["images-berthd", () => append("images/berthd/Dockerfile", "# one line\n")],
    ["images-agent images-berthd", () => append("images/berthd/main.go", "// one line\n")],
    ["images-agent images-berthd", () => append("images/berthd/internal/vnc/proxy.go", "// one line\n")],
  ] as const;
  for (const [names, change] of changes) {
    await change();
    const after = await inputsIn(clone, deployed);
    expect(await rebuilt(before, after), change.toString()).toEqual(names.split(" "));
    before = after;
  }
});

test.each([
  ["docker.io/library/node:24-bookworm-slim", ["images-api"]],
  ["gcr.io/distroless/nodejs24-debian13:nonroot", ["images-api"]],
  ["docker.io/library/debian:bookworm-slim", ["images-agent"]],
  ["docker.io/library/golang:1.26.8-bookworm", ["images-agent", "images-berthd"]],
  ["docker.io/library/postgres:15-bookworm", []],
])("a new digest of %s under the same tag makes these images new: %j", async (base, images) => {
  const pushed = (name: string) => digestOf(name.endsWith(`/${base}`) ? `${name}, pushed again` : name);
  const after = await program(pushed);
  expect(after).not.toEqual(deployed);
  expect(await rebuilt(await inputsIn(root, deployed), await inputsIn(root, after))).toEqual(images);
});

test("a new SECURITY_EPOCH makes Docker run the step again that upgrades and installs Debian's packages", async () => {
  const dockerfile = await readFile(join(root, "images/agent/Dockerfile"), "utf8");
  const [, last = ""] = /.*^(FROM .*)/ms.exec(dockerfile) ?? [];
  // BuildKit passes the arguments that the stage has declared before the step to the step, and compares them.
  expect(last).toMatch(/^ARG SECURITY_EPOCH=.*^RUN .*apt-get update.* && apt-get upgrade .*apt-get install/ms);
});

test("the digest of the files in an image's tag is the digest by which Pulumi's plugin decides", async () => {
  for (const [name, { build }] of await inputsIn(root, deployed)) {
    const dockerfile = join(root, "images", name.replace("images-", ""), "Dockerfile");
    expect((build as Props).contextDigest, name).toBe(contextDigest(root, dockerfile));
  }
});

test.each([
  [{}, []],
  [{ platform: "linux/arm64" }, ["images-agent", "images-api", "images-berthd"]],
  [{ buildNetwork: "default" }, ["images-agent", "images-api", "images-berthd"]],
  [{ registryPush: { username: "ci", password: "p" } }, ["images-agent", "images-api", "images-berthd"]],
  [{ images: { agent: { buildArgs: { SECURITY_EPOCH: "2026-W48" } } } }, ["images-agent"]],
])("with %j, these images are built again, and get new tags: %j", async (changes, images) => {
  const [before, after] = [await inputsIn(root, deployed), await inputsIn(root, await program(digestOf, changes))];
  const tagged = [...after].filter(([name, { imageName }]) => imageName !== before.get(name)?.imageName);
  expect(tagged.map(([name]) => name)).toEqual(images);
  const untagged = (all: Map<string, Props>) =>
    new Map([...all].map(([name, { imageName, ...inputs }]) => [name, inputs] as const));
  expect(await rebuilt(untagged(before), untagged(after))).toEqual(images);
});
