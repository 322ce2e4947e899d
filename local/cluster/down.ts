/** Stops the cluster. What it has stored stays, unless it is purged. */
import { step } from "../lib/steps.ts";
import { nodePid, stopNode } from "./node.ts";
import { removeState } from "./state.ts";

/** Ends the node, and with it the cluster's processes, pods, mounts, interfaces and rules. State stays. */
export async function clusterDown(): Promise<void> {
  await step("Stop the cluster", async () => {
    const ran = nodePid() !== undefined;
    await stopNode();
    return ran ? "stopped" : "there is none";
  });
}

/** Stops the cluster and removes all that it has put on the machine, except the programs' cache. */
export async function clusterPurge(): Promise<void> {
  await clusterDown();
  await step("Remove the cluster's state", async () => {
    removeState();
    return "its programs stay in the cache";
  });
}
