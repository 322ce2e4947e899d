/** What is in the images that run in the cluster, and what is not. */
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { agent, api, compressedMegabytes, config, files } from "./testing/image.ts";

const nodeRuntime = "gcr.io/distroless/nodejs24-debian13:nonroot";
const debian = "docker.io/library/debian:bookworm-slim";

const shells = ["sh", "ash", "bash", "busybox", "dash", "ksh", "zsh"];
const packageManagers = ["apk", "apt", "apt-get", "corepack", "dpkg", "npm", "npx", "pip", "pnpm", "yarn"];
const forOtherUsers = ["doas", "gosu", "su-exec", "sudo"];

/** What each image may add to its base, in megabytes as a registry keeps them. Raise it only for something worth it. */
const budgets = [
  [api, nodeRuntime, 20],
  [agent, debian, 65],
] as const;

test.each(budgets)("%s adds to its base no more than its budget", async (image, base, budget) => {
  const [all, below] = await Promise.all([compressedMegabytes(image), compressedMegabytes(base)]);
  expect(all - below).toBeGreaterThan(1);
  expect(all - below).toBeLessThan(budget);
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

  test("runs as a user that isn't root", async () => {
    expect(Number((await config(image)).User.split(":")[0])).toBeGreaterThanOrEqual(10_000);
  });
});

test("API image: its files can't be changed by the user that runs them", async () => {
  const own = (await files(api)).filter(({ path }) => /^(app|node_modules)\//.test(path));
  expect(own.length).toBeGreaterThan(100);
  expect(own.filter(({ mode, owner }) => owner !== "0/0" || (mode[0] !== "l" && mode[8] === "w"))).toEqual([]);
});

test("API image: Node itself is PID 1 and asks after its own health", async () => {
  const { Entrypoint, Healthcheck } = await config(api);
  expect(Entrypoint).toEqual(["/nodejs/bin/node"]);
  expect(Healthcheck?.Test.slice(0, 2)).toEqual(["CMD", "/nodejs/bin/node"]);
});

test("agent image: runs as uid 10001, which has a name and a home that it can't write", async () => {
  expect((await config(agent)).User).toBe("10001:10001");
  const all = await files(agent);
  const own = all.filter(({ owner }) => owner.startsWith("10001/")).map(({ path }) => path);
  expect(own.filter((path) => !path.startsWith("home/agent/"))).toEqual([]);
  expect(own).toContain("home/agent/workspace/");
});

describe.each([
  ["API image", api, ["3000/tcp", "3001/tcp", "3002/tcp"]],
  ["agent image", agent, ["6080/tcp", "6081/tcp"]],
])("%s", (_, image, ports) => {
  test("gives nobody another user's rights", async () => {
    const all = await files(image);
    expect(all.filter(({ mode }) => mode.startsWith("-") && /s/i.test(mode))).toEqual([]);
    expect(all.filter(({ path }) => forOtherUsers.includes(basename(path)))).toEqual([]);
  });

  test("says what it is, what it was built on and which ports it has", async () => {
    const { Labels, ExposedPorts } = await config(image);
    for (const label of ["title", "description", "licenses"])
      expect(Labels?.[`org.opencontainers.image.${label}`]).toBeTruthy();
    expect(Labels?.["org.opencontainers.image.base.name"]).toMatch(/^\S+:\S+@sha256:[0-9a-f]{64}$/);
    expect(Object.keys(ExposedPorts ?? {}).sort()).toEqual(ports);
  });
});
