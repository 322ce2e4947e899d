/**
 * A separate Berth for a proof, beside the Berth that may run on the machine. It has another name, and other folders,
 * addresses and ports.
 */
import { execa, type Options } from "execa";
import { root } from "../../machine/machine.ts";

export const name = "berth-proof";
export const stateDir = `/var/lib/${name}`;
export const env = {
  BERTH_NAME: name,
  BERTH_STATE: stateDir,
  BERTH_NETWORK: "10.213.0.0/16",
  BERTH_REGISTRY_PORT: "5013",
  BERTH_API_PORT: "30093",
  BERTH_SANDBOX_PORT: "30094",
};

/** Runs a program of the checkout for this Berth, and prints the program's output. */
export const berth = (command: string[], options: Options = {}) =>
  execa(process.execPath, command, {
    cwd: root,
    env,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    ...options,
  });

/** Removes everything of this Berth, in whatever state it is. */
export const purge = async () => void (await berth(["local/main.ts", "down", "--purge"]));
