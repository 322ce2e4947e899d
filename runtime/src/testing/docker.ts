/** The Docker daemon that runs the tests' containers: Berth's, which `npm run up` starts, or else the user's own. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { machine } from "../../../machine/machine.ts";
import { loopback } from "./ports.ts";

type Environment = Record<string, string>;

export interface Docker {
  /** Runs a Docker command with these variables added to the environment. Returns the output. */
  run: (args: string[], env?: Environment) => Promise<string>;
  /** The name that the daemon uses for an image of Docker Hub, e.g. library/redis:7.4-bookworm. */
  image: (name: string) => string;
  /**
   * Options of `docker run`. With them, tests reach the container's program at this port of loopback. The program must
   * listen at `address` and this port.
   */
  network: (port: number) => string[];
  address: string;
}

const daemon = (env: Environment, own: Omit<Docker, "run">): Docker => ({
  run: async (args, more = {}) => {
    const { stdout } = await promisify(execFile)("docker", args, { env: { ...process.env, ...env, ...more } });
    return stdout.trim();
  },
  ...own,
});

/** Berth's daemon has no bridge, and its images come from the local registry. */
const berths = daemon(
  { DOCKER_HOST: `unix://${machine.dockerSocket}` },
  {
    image: (name) => `${machine.registry}/docker.io/${name}`,
    network: () => ["--network=host"],
    address: loopback,
  },
);

/** The daemon at DOCKER_HOST, or at the default address. */
const users = daemon(
  {},
  {
    image: (name) => `docker.io/${name}`,
    network: (port) => [`--publish=${loopback}:${port}:${port}`],
    address: "0.0.0.0",
  },
);

/** Returns the first daemon that answers. */
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
      "These tests need a Docker daemon, but none answers:",
      `- Berth's daemon (\`npm run up\` starts it; root and the group docker may use it): ${faults[0]}`,
      `- your own daemon (at its default address or at DOCKER_HOST): ${faults[1]}`,
      "Start one of them.",
    ].join("\n"),
  );
}
