/** Runs a container for a test with Docker, without Kubernetes, but with the same restrictions as in a pod. */
import { patience, until } from "@berth/testing/until.ts";
import { execa } from "execa";
import { onTestFinished } from "vitest";
import { docker, dockerHost } from "../../local/docker.ts";
import { pull } from "./image.ts";

const hardened = ["--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none"];

export interface Container {
  /** Runs a program in the container and returns its output. Rejects unless the program ends with 0. */
  exec: (command: string[], input?: string) => Promise<string>;
  /** Returns the container's standard output and standard error so far. */
  logs: () => Promise<string>;
  /** Returns one field of `docker inspect`, for example .State.ExitCode. */
  inspect: (field: string) => Promise<string>;
  /** Waits until the container has ended by itself. */
  end: () => Promise<void>;
  /**
   * Sends SIGTERM, and SIGKILL after `patience` times `seconds`. `seconds` is enough for a machine without other load. Returns
   * the exit code.
   */
  stop: (seconds: number) => Promise<number>;
}

/**
 * Starts a container from an image of the local registry. The container is removed when the test ends. If the test fails, the
 * container's logs are printed.
 * @param options further options of `docker run`
 * @param args the arguments of the container's program
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
      await docker(["stop", `--time=${seconds * patience}`, id]);
      return Number(await inspect(".State.ExitCode"));
    },
  };
}
