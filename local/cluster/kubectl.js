import { execa } from "execa";
import { kubeconfig } from "../lib/paths.ts";
import { program } from "./build.ts";
/** Runs the cluster's own kubectl as its admin and returns the output. Throws if kubectl fails. */
export async function kubectl(args, input) {
    const { stdout } = await execa(program("kubectl"), ["--kubeconfig", kubeconfig, ...args], {
        ...(input === undefined ? { stdin: "ignore" } : { input }),
    });
    return stdout;
}
