/** Builds a small image with Berth's Docker daemon. */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { docker, dockerHost } from "../../local/docker.ts";
import { machine } from "../../machine/machine.ts";
import { buildWithSecrets } from "./build-secrets.ts";

const dockerfile = `FROM ${machine.registry}/docker.io/library/debian:bookworm-slim AS build
COPY file /file
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc grep -q hunter2 /root/.npmrc && touch /made
FROM scratch
COPY --from=build /made /file /
`;

test("a build without the secret takes the step that needs the secret from the cache, and the image does not contain it", async () => {
  const context = mkdtempSync(join(tmpdir(), "berth-build-"));
  onTestFinished(() => rmSync(context, { recursive: true }));
  const file = join(context, "Dockerfile");
  writeFileSync(file, dockerfile);
  writeFileSync(join(context, "file"), randomUUID());
  const without = () =>
    docker(["build", "--quiet", "--platform=linux/amd64", "--network=host", `--file=${file}`, context]);
  await expect(without()).rejects.toThrow();

  // /usr/bin goes first, because another client may have no BuildKit (see local/docker.ts).
  vi.stubEnv("PATH", `/usr/bin:${process.env.PATH}`);
  vi.stubEnv("DOCKER_HOST", dockerHost);
  const build = { context, dockerfile: file, platform: "linux/amd64", network: "host", args: {} };
  await buildWithSecrets(build, { npmrc: "_authToken=hunter2" });
  const image = await without();
  onTestFinished(async () => void (await docker(["image", "rm", "--force", image])));
  expect(await docker(["history", "--no-trunc", image])).not.toContain("_authToken");
  expect(await docker(["inspect", "--format={{json .RootFS.Layers}}", image])).toMatch(/^\["sha256:\w+"\]$/);
});
