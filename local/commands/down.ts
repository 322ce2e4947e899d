/** Stops everything on this machine. */
import { clusterDown, clusterPurge, refuseEarlierVersion } from "../cluster/index.ts";
import { stopDocker } from "../docker.ts";
import { endInstallation, installedPackages } from "../host/packages.ts";
import { claim } from "../lib/process.ts";
import { step, UserError } from "../lib/steps.ts";

/** @param purge also removes all state; the programs that were built stay in the cache */
export async function down(purge: boolean): Promise<void> {
  if (process.getuid?.() !== 0) throw new UserError("the local cluster is root's: run the command as root.");
  claim();
  refuseEarlierVersion();
  await endInstallation(); // of a start that was killed
  await step("Stop the Docker daemon", stopDocker);
  const packages = installedPackages();
  await (purge ? clusterPurge() : clusterDown());
  console.log(purge ? "Nothing is left but the cache of programs." : "Stopped. `npm run up` goes on from here.");
  if (purge && packages.length > 0)
    console.log(`Debian packages that Berth installed stay, as others may use them by now: ${packages.join(" ")}`);
}
