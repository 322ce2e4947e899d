import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { recordStack } from "../testing/record.ts";
import { buildWithSecrets, withSecrets } from "./build-secrets.ts";

const build = {
  context: "..",
  dockerfile: "../images/api/Dockerfile",
  platform: "linux/amd64",
  network: "host",
  args: { NODE_BUILD_IMAGE: "node@sha256:0" },
};
const npmrc = "//npm.example.com/:_authToken=hunter2";

beforeEach(() => {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

/** Replaces the command `docker` by a script. Returns the folder, in which the script runs as the variable HERE. */
function replaceDocker(script: string): string {
  const folder = mkdtempSync(join(tmpdir(), "berth-docker-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, "docker"), `#!/bin/sh\nHERE=${folder}\n${script}\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
  return folder;
}

test("before the image is made or changed, it is built with the secret, which is in the environment of the build and not in its arguments", async () => {
  const folder = replaceDocker('echo "$@" > $HERE/arguments; env > $HERE/environment; ls ../images/api/Dockerfile');
  vi.stubEnv("DOCKER_HOST", "unix:///run/own.sock");
  const { beforeCreate = [], beforeUpdate = [] } = withSecrets(build, { npmrc }).hooks ?? {};
  expect(beforeUpdate).toEqual(beforeCreate);
  for (const hook of beforeCreate) if (typeof hook === "function") await hook({} as never);
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const [, variable] = /--secret=id=npmrc,env=(\w+)/.exec(read("arguments")) ?? [];
  expect(read("environment")).toContain(`\n${variable}=${npmrc}\n`);
  expect(read("environment")).toContain("\nDOCKER_HOST=unix:///run/own.sock\n");
  expect(read("arguments")).not.toContain("hunter2");
  expect(read("arguments")).toContain("--build-arg=NODE_BUILD_IMAGE=node@sha256:0");
  expect(read("arguments")).toMatch(/^build .* \.\.\n$/);
});

test("a failed build says why, without the secret", async () => {
  replaceDocker('echo "npm error code E401" >&2; exit 1');
  const failure = "The build of ../images/api/Dockerfile with its buildSecrets has failed: npm error code E401";
  await expect(buildWithSecrets(build, { npmrc })).rejects.toThrow(new Error(failure));
});

test("without secrets, Pulumi's provider builds alone", () => {
  expect(withSecrets(build, {})).toEqual({});
});

test("only the API's build gets the secret, no resource of the stack has it, and another secret makes no new image", async () => {
  const given: unknown[] = [];
  const withSecrets = ({ dockerfile }: { dockerfile: string }, secrets: object) => {
    given.push([dockerfile, secrets]);
    return {}; // Pulumi's mocks know no hooks
  };
  vi.doMock("./build-secrets.ts", () => ({ withSecrets }));
  onTestFinished(() => vi.doUnmock("./build-secrets.ts"));
  const stack = (npmrc: string) => recordStack("prod", { images: { api: { buildSecrets: { npmrc } } } });
  const resources = await stack(npmrc);
  expect(given).toContainEqual(["../images/api/Dockerfile", { npmrc }]);
  expect(given).toContainEqual(["../images/agent/Dockerfile", {}]);
  expect(JSON.stringify(resources)).not.toContain("hunter2");
  vi.resetModules();
  expect(await stack("another")).toEqual(resources);
});
