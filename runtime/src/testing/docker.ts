/** The Docker daemon that tests run containers on: Berth's, which `npm run up` starts, or else the user's own. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { machine } from "../../../machine/machine.ts";
import { loopback } from "./ports.ts";

type Environment = Record<string, string>;

export interface Docker {
  /** Runs a command of Docker's command line with these variables beside the process's own; returns what it prints. */
  run: (args: string[], env?: Environment) => Promise<string>;
  /** The name by which the daemon has an image of Docker Hub, e.g. library/redis:7.4-bookworm. */
  image: (name: string) => string;
  /** Options for a container whose program listens at `address` and this port, to reach it on loopback there. */
  network: (port: number) => string[];
  address: string;
}

const daemon = (env: Environment, parts: Omit<Docker, "run">): Docker => ({
  run: async (args, more = {}) => {
    const { stdout } = await promisify(execFile)("docker", args, { env: { ...process.env, ...env, ...more } });
    return stdout.trim();
  },
  ...parts,
});

/** It has no bridge, and its images come from the local registry. */
const berths = daemon(
  { DOCKER_HOST: `unix://${machine.dockerSocket}` },
  {
    image: (name) => `${machine.registry}/docker.io/${name}`,
    network: () => ["--network=host"],
    address: loopback,
  },
);

/** The daemon that DOCKER_HOST names, or the one at the default address. */
const users = daemon(
  {},
  {
    image: (name) => `docker.io/${name}`,
    network: (port) => [`--publish=${loopback}:${port}:${port}`],
    address: "0.0.0.0",
  },
);

/** The first of them that answers. */
export async function findDocker(): Promise<Docker> {
  const faults: string[] = [];
  for (const docker of [berths, users]) {
    try {
      await docker.run(["version"]);
      return docker;
    } catch (error) {
      faults.push((error as Error).message.trim().split("\n").at(-1) ?? "");
    }
  }
  throw new Error(
    [
      "These tests need Docker, and none answers:",
      `- Berth's, which \`npm run up\` starts, for root and the group docker: ${faults[0]}`,
      `- yours, at its default address or at DOCKER_HOST's: ${faults[1]}`,
      "Start one of them.",
    ].join("\n"),
  );
}
