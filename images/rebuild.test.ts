/**
 * What makes another image: the program's images as Pulumi would compare them, before and after a change of the checkout.
 * The stand-in for Pulumi's Docker plugin compares; rebuild.proof.test.ts asks the plugin that is in use.
 */
import { appendFile, chmod, mkdir, rm, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { digestOf, type RecordedResource, recordStack } from "../infra/testing/record.ts";
import { imageResource } from "../local/air-gapped/plugins/docker/image.ts";
import { type Props, secret } from "../local/air-gapped/plugins/protocol/values.ts";
import { root } from "../machine/machine.ts";
import { copyOfCheckout } from "../tests/checkout.ts";

// The program loads all of Pulumi, which takes its time on a busy machine.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let deployed: RecordedResource[];

beforeAll(async () => {
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  deployed = await program();
});

const image = imageResource("unix:///no/daemon/is/asked");

/** The inputs of the images by name, as Pulumi keeps them. The program names the checkout from its own folder. */
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

/** The stack's resources. The program runs on import. */
async function program(baseDigest = digestOf): Promise<RecordedResource[]> {
  vi.resetModules();
  return await recordStack("dev", {}, baseDigest);
}

/** The images that are built anew where `before` is deployed. */
async function rebuilt(before: Map<string, Props>, after: Map<string, Props>): Promise<string[]> {
  const names: string[] = [];
  for (const [name, inputs] of after) {
    const state = { __inputs: secret(before.get(name)) };
    if ((await image.diff({ id: name, state, inputs })).changed.length > 0) names.push(name);
  }
  return names;
}

/** A copy of the checkout, and how to change it. */
async function openClone() {
  const clone = await copyOfCheckout();
  onTestFinished(() => rm(clone, { recursive: true }));
  const write = async (file: string, text: string) => {
    await mkdir(dirname(join(clone, file)), { recursive: true });
    await writeFile(join(clone, file), text);
  };
  return { clone, write, append: (file: string, text: string) => appendFile(join(clone, file), text) };
}

test("another clone with other dates, and with other files that no Dockerfile copies, makes no image", async () => {
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
  expect([...before.keys()]).toEqual(["agent-image", "api-image", "berthd-image"]);
  expect(await rebuilt(before, await inputsIn(clone, deployed))).toEqual([]);
});

test("what a Dockerfile copies makes the images that have it and no other", async () => {
  const { clone, write, append } = await openClone();
  let before = await inputsIn(clone, deployed);
  const changes = [
    ["api-image", () => append("runtime/src/main.ts", "// one line\n")],
    ["api-image", () => write("runtime/src/new.ts", "")],
    ["api-image", () => append("package-lock.json", "\n")],
    ["api-image", () => append("images/api/Dockerfile", "# one line\n")],
    ["agent-image", () => append("images/agent/files/usr/local/bin/berth-terminal", "# one line\n")],
    ["agent-image", () => chmod(join(clone, "images/agent/files/etc/berth/terminal.xresources"), 0o755)],
    ["agent-image", () => rm(join(clone, "images/agent/files/etc/xdg/openbox/menu.xml"))],
    ["agent-image", () => append("images/agent/Dockerfile", "# one line\n")],
    ["berthd-image", () => append("images/berthd/Dockerfile", "# one line\n")],
    ["agent-image berthd-image", () => append("images/berthd/main.go", "// one line\n")],
    ["agent-image berthd-image", () => append("images/berthd/internal/vnc/proxy.go", "// one line\n")],
  ] as const;
  for (const [names, change] of changes) {
    await change();
    const after = await inputsIn(clone, deployed);
    expect(await rebuilt(before, after), change.toString()).toEqual(names.split(" "));
    before = after;
  }
});

test.each([
  ["docker.io/library/node:24-bookworm-slim", ["api-image"]],
  ["gcr.io/distroless/nodejs24-debian13:nonroot", ["api-image"]],
  ["docker.io/library/debian:bookworm-slim", ["agent-image"]],
  ["docker.io/library/golang:1.26.8-bookworm", ["agent-image", "berthd-image"]],
  ["docker.io/library/postgres:15-bookworm", []],
])("another digest of %s under the same tag makes %j", async (base, images) => {
  const pushed = (name: string) => digestOf(name.endsWith(`/${base}`) ? `${name}, pushed again` : name);
  const after = await program(pushed);
  expect(after).not.toEqual(deployed);
  expect(await rebuilt(await inputsIn(root, deployed), await inputsIn(root, after))).toEqual(images);
});
