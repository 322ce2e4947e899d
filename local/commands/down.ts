/** Stops everything on this machine. */
import { nodePid, stopNode } from "../cluster/node.ts";
import { removeState } from "../cluster/state.ts";
import { stopDocker } from "../docker.ts";
import { aptEnded, installedPackages } from "../host/packages.ts";
import { lock } from "../lib/process.ts";
import { step } from "../lib/steps.ts";

/** @param purge whether to remove all state too. Built programs stay in the cache */
export async function down(purge: boolean): Promise<void> {
  lock();
  await aptEnded();
  await step("Stop the Docker daemon", stopDocker);
  const packages = purge ? await installedPackages() : [];
  await step("Stop the cluster", async () => {
    const ran = nodePid() !== undefined;
    await stopNode();
    return ran ? "stopped" : "it did not run";
  });
  if (purge)
    await step("Remove the cluster's state", async () => {
      removeState();
      return "the cluster's programs stay in the cache";
    });
  console.log(
    purge ? "Stopped. Berth's state is removed." : "Stopped. `npm run up` starts Berth again with all of its data.",
  );
  if (packages.length > 0)
    console.log(
      `The Debian packages that Berth installed stay, because other programs may use them now: ${packages.join(" ")}`,
    );
}
