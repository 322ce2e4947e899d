/** Tests which files, users, ports and labels the images have, and how large they are. */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { agent, api, berthd, config, files, layers, runIn, sumOf } from "./testing/image.ts";

const nodeRuntime = "gcr.io/distroless/nodejs24-debian13:nonroot";

const shells = ["sh", "ash", "bash", "busybox", "dash", "ksh", "zsh"];
const packageManagers = ["apk", "apt", "apt-get", "corepack", "dpkg", "npm", "npx", "pip", "pnpm", "yarn"];
const forOtherUsers = ["doas", "gosu", "su-exec", "sudo"];

/** The layers that the image adds to the base image from which it was built. */
async function added(image: string) {
  const base = (await config(image)).Labels?.["org.opencontainers.image.base.name"] ?? "";
  const [all, below] = await Promise.all([layers(image), layers(base.replace(/^.*?\/(.+?):[^/@]+@/, "$1@"))]);
  expect(all.slice(0, below.length)).toEqual(below);
  return all.slice(below.length).map(({ megabytes }) => megabytes);
}
const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0);

// Raise a size limit in these tests only for a good reason.
describe("the compressed size", () => {
  test("the API image adds at most 20 MB to its base; only a change of the lock file changes this size", async () => {
    const all = sum(await added(api));
    expect(all).toBeGreaterThan(1);
    expect(all).toBeLessThan(20);
  });

  test("the agent image adds Debian's packages and at most 6 MB of Berth's files, mostly berthd", async () => {
    const [debian = 0, ...own] = await added(agent);
    console.info(
      `Debian's packages in the agent image: ${debian.toFixed(1)} MB compressed; it was 51.8 when this was written.`,
    );
    expect(own.length).toBeGreaterThan(1);
    expect(sum(own)).toBeLessThan(6);
    // Debian's updates change this size by a few megabytes. A browser or a compiler, added by mistake, would double it.
    expect(debian).toBeLessThan(130);
  });

  test("the agent image has empty packages instead of packages that a desktop never uses", async () => {
    const dockerfile = await readFile(join(import.meta.dirname, "agent/Dockerfile"), "utf8");
    const names = /^RUN for package in (.*); do/m
      .exec(dockerfile)?.[1]
      ?.split(" ")
      .map((one) => one.split("=")[0]);
    expect(names).toContain("libglx-mesa0");
    const packages = await runIn(agent, "dpkg-query", "--show", "--showformat=$" + "{Maintainer} $" + "{Package}\n");
    const empty = packages.split("\n").flatMap((line) => /^Berth (.+)/.exec(line)?.[1] ?? []);
    expect(empty.sort()).toEqual(names?.sort());
  });
});

describe.each([
  ["runtime base", nodeRuntime],
  ["API image", api],
])("%s", (_, image) => {
  test("has neither a shell nor a package manager", async () => {
    const programs = (await files(image)).filter(({ mode }) => /^[-l]/.test(mode) && mode.includes("x"));
    const names = new Set(programs.map(({ path }) => basename(path)));
    expect(names).toContain("node");
    expect([...shells, ...packageManagers].filter((name) => names.has(name))).toEqual([]);
  });

  test("runs as a user other than root", async () => {
    expect(Number((await config(image)).User.split(":")[0])).toBeGreaterThanOrEqual(10_000);
  });
});

test("in the API image, the container's user can't change the runtime's files", async () => {
  const own = (await files(api)).filter(({ path }) => /^(app|node_modules)\//.test(path));
  expect(own.length).toBeGreaterThan(100);
  expect(own.filter(({ mode, owner }) => owner !== "0/0" || (mode[0] !== "l" && mode[8] === "w"))).toEqual([]);
});

test("in the API image, Node is PID 1 and runs the health check", async () => {
  const { Entrypoint, Healthcheck } = await config(api);
  expect(Entrypoint).toEqual(["/nodejs/bin/node"]);
  expect(Healthcheck?.Test.slice(0, 2)).toEqual(["CMD", "/nodejs/bin/node"]);
});

test("the agent image runs as uid 10001, which has a name and a read-only home directory", async () => {
  expect((await config(agent)).User).toBe("10001:10001");
  const all = await files(agent);
  const own = all.filter(({ owner }) => owner.startsWith("10001/")).map(({ path }) => path);
  expect(own.filter((path) => !path.startsWith("home/agent/"))).toEqual([]);
  expect(own).toContain("home/agent/workspace/");
});

test("berthd's image contains one static program and its link, and runs as a user other than root, and the agent image has the same program", async () => {
  // Docker adds its own files to a container, in /dev, in /etc and at the root.
  const own = (await files(berthd)).filter(({ mode, path }) => /^[-l]/.test(mode) && !/^(dev|etc|\.)/.test(path));
  expect(own.map(({ mode, path, owner }) => [mode[0], path, owner]).sort()).toEqual([
    ["-", "berthd", "0/0"],
    ["l", "berth-progress", "0/0"],
  ]);
  expect(await config(berthd)).toMatchObject({ User: "10001:10001", Entrypoint: ["/berthd"] });
  expect(await sumOf(berthd, "/berthd")).toBe(await sumOf(agent, "/usr/local/bin/berthd"));
});

test("in the agent image, berthd is PID 1, and the programs that berthd replaced are gone", async () => {
  expect((await config(agent)).Entrypoint).toEqual(["berthd", "session"]);
  const own = (await files(agent)).map(({ path }) => path).filter((path) => path.startsWith("usr/local/bin/berth"));
  expect(own.sort()).toEqual(["usr/local/bin/berth-progress", "usr/local/bin/berth-terminal", "usr/local/bin/berthd"]);
  const names = new Set((await files(agent)).map(({ path }) => basename(path)));
  expect(["tini", "websockify", "numpy"].filter((name) => names.has(name))).toEqual([]);
});

describe.each([
  ["API image", api, ["3000/tcp", "3001/tcp", "3002/tcp", "3003/tcp"]],
  ["agent image", agent, ["6081/tcp", "6082/tcp"]],
])("%s", (_, image, ports) => {
  test("has no setuid and no setgid files", async () => {
    const all = await files(image);
    expect(all.filter(({ mode }) => mode.startsWith("-") && /s/i.test(mode))).toEqual([]);
    expect(all.filter(({ path }) => forOtherUsers.includes(basename(path)))).toEqual([]);
  });

  test("has labels with its title and base image, and lists its ports", async () => {
    const { Labels, ExposedPorts } = await config(image);
    for (const label of ["title", "description", "licenses"])
      expect(Labels?.[`org.opencontainers.image.${label}`]).toBeTruthy();
    expect(Labels?.["org.opencontainers.image.base.name"]).toMatch(/^\S+:\S+@sha256:[0-9a-f]{64}$/);
    expect(Object.keys(ExposedPorts ?? {}).sort()).toEqual(ports);
  });
});
