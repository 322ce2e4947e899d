/** A container for a test, run by plain Docker as hardened as its pod is. */
import { until } from "@berth/testing/until.ts";
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
  /** Waits until it has ended by itself. */
  end: () => Promise<void>;
  /** SIGTERM, and SIGKILL after `seconds`. Returns the exit code. */
  stop: (seconds: number) => Promise<number>;
}

/**
 * Starts the image of the local registry. `options` are docker's, `args` the container's. It is removed when the test ends;
 * a test that fails prints its logs.
 */
export async function run(image: string, options: string[] = [], args: string[] = []): Promise<Container> {
  const id = await docker(["run", "--detach", ...hardened, ...options, await pull(image), ...args]);
  const inspect = (field: string) => docker(["inspect", `--format={{${field}}}`, id]);
  const client = (args: string[], input = "") =>
    execa("/usr/bin/docker", args, { env: { DOCKER_HOST: dockerHost }, input, all: true });
  const logs = async () => (await client(["logs", id])).all;
  onTestFinished(async ({ task }) => {
    if (task.result?.state === "fail") console.error(`The container of ${image} says:\n${await logs()}`);
    await docker(["rm", "--force", "--volumes", id]);
  });
  return {
    inspect,
    logs,
    exec: async (command, input) => (await client(["exec", "--interactive", id, ...command], input)).stdout,
    end: async () => {
      await until(
        "the container has ended",
        60,
        () => inspect(".State.Status"),
        (status) => status === "exited",
      );
    },
    stop: async (seconds) => {
      await docker(["stop", `--time=${seconds}`, id]);
      return Number(await inspect(".State.ExitCode"));
    },
  };
}
