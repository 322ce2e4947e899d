/** A Berth of a proof's own, beside the one that may be on the machine: another name, other folders, addresses and ports. */
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
};

/** Runs a program of the checkout for it. What the program writes is shown. */
export const berth = (command: string[], options: Options = {}) =>
  execa(process.execPath, command, {
    cwd: root,
    env,
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
    ...options,
  });

/** Leaves nothing of it, whatever there is. */
export const purge = async () => void (await berth(["local/main.ts", "down", "--purge"]));
