/** A container for a test, run by plain Docker as hardened as its pod is. */
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { onTestFinished } from "vitest";
import { docker, dockerHost } from "../../local/docker.ts";
import { pull } from "./image.ts";

const hardened = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"];

export interface Container {
  /** Runs a program in it and returns its output. Rejects unless it ends with 0. */
  exec: (command: string[], input?: string) => Promise<string>;
  /** Standard output and standard error so far. */
  logs: () => Promise<string>;
  /** One field of `docker inspect`, for example .State.ExitCode. */
  inspect: (field: string) => Promise<string>;
  /** SIGTERM, and SIGKILL after `seconds`. Returns the exit code. */
  stop: (seconds: number) => Promise<number>;
}

/** Starts the image of the local registry; removed with the test. `options` are docker's, `args` the container's. */
export async function run(image: string, options: string[] = [], args: string[] = []): Promise<Container> {
  const id = await docker(["run", "--detach", ...hardened, ...options, await pull(image), ...args]);
  onTestFinished(async () => {
    await docker(["rm", "--force", "--volumes", id]);
  });
  const inspect = (field: string) => docker(["inspect", `--format={{${field}}}`, id]);
  const client = (args: string[], input = "") =>
    execa("/usr/bin/docker", args, { env: { DOCKER_HOST: dockerHost }, input, all: true });
  return {
    inspect,
    exec: async (command, input) => (await client(["exec", "--interactive", id, ...command], input)).stdout,
    logs: async () => (await client(["logs", id])).all,
    stop: async (seconds) => {
      await docker(["stop", `--time=${seconds}`, id]);
      return Number(await inspect(".State.ExitCode"));
    },
  };
}

/** Looks until `condition` holds, for a minute; a look that fails doesn't hold. */
export async function until(what: string, container: Container, condition: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await condition().catch(() => false)); await sleep(100))
    if (performance.now() > end) throw new Error(`after a minute still not: ${what}\n${await container.logs()}`);
}
