import { execa } from "execa";
import { machine } from "../../machine/machine.ts";
import { program } from "./build.ts";

const { kubeconfig } = machine;

/** Runs the cluster's own kubectl as its admin and returns the output. Throws if kubectl fails. */
export async function kubectl(args: string[], input?: string): Promise<string> {
  const { stdout } = await execa(program("kubectl"), ["--kubeconfig", kubeconfig, ...args], {
    ...(input === undefined ? { stdin: "ignore" } : { input }),
  });
  return stdout;
}
