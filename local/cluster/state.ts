/**
 * The state directory. The ownership file, a README, shows that the directory belongs to Berth. A directory with other files and
 * without the ownership file is never used or removed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { machine } from "../../machine/machine.ts";
import { writeIfChanged } from "../lib/files.ts";
import { UserError } from "../lib/steps.ts";

const { network, runDir, stateDir } = machine;

const ownershipFile = (dir: string) => join(dir, "README");

const firstWords = "The state of Berth's local cluster";
const text = `${firstWords}, whose addresses are in ${network}.
\`npm run down -- --purge\` in the checkout removes it.\n`;

/** A purge adds this line to the ownership file before it removes anything. */
const beingRemoved = "Its removal has begun.\n";

/**
 * Makes the directory and writes the ownership file. If a purge of the directory was killed, the purge is completed first.
 * @throws UserError if the directory belongs to somebody else, because a purge would remove its files; or if the directory
 * contains a cluster with other addresses
 */
export function claimStateDir(dir = stateDir): void {
  mkdirSync(dir, { recursive: true });
  if (!isClaimed(dir) && readdirSync(dir).length > 0)
    throw new UserError(
      `${dir} holds files that aren't Berth's: set BERTH_STATE to a folder that is empty or does not exist yet.`,
    );
  if (isClaimed(dir) && readFileSync(ownershipFile(dir), "utf8").includes(beingRemoved)) empty(dir);
  if (isClaimed(dir) && readFileSync(ownershipFile(dir), "utf8") === text) return;
  if (existsSync(join(dir, "etcd")))
    throw new UserError(
      `The cluster in ${dir} was not made for the addresses ${network}, and the addresses of a cluster can't be changed: set BERTH_NETWORK as it was when the cluster was made, or remove the cluster (npm run down -- --purge, in the checkout that made the cluster).`,
    );
  // If the folder has no other file, the ownership file is written without a temporary file. Otherwise a killed run could
  // leave a temporary file but no ownership file, and the folder would not count as Berth's.
  if (readdirSync(dir).length <= 1) writeFileSync(ownershipFile(dir), text);
  else writeIfChanged(ownershipFile(dir), text);
}

/**
 * Whether the directory is Berth's: whether its README begins with Berth's text. An empty README counts too if it is the only
 * file, because a killed start may have left an empty README.
 */
function isClaimed(dir: string): boolean {
  if (!existsSync(ownershipFile(dir))) return false;
  const content = readFileSync(ownershipFile(dir), "utf8");
  return content.startsWith(firstWords) || (content === "" && readdirSync(dir).length === 1);
}

/** Removes the state and the run directory. Throws a UserError if the state directory lacks the ownership file. */
export function removeState(dir = stateDir): void {
  if (existsSync(dir) && !isClaimed(dir))
    throw new UserError(
      `${dir} has no README file of Berth, so the directory is left as it is. Remove the directory by hand if you don't need it.`,
    );
  if (existsSync(ownershipFile(dir))) empty(dir);
  rmSync(dir, { recursive: true, force: true });
  rmSync(runDir, { recursive: true, force: true });
}

/** Removes everything except the ownership file, so that a later run can continue an interrupted removal. */
function empty(dir: string): void {
  const entries = readdirSync(dir).filter((entry) => join(dir, entry) !== ownershipFile(dir));
  const content = readFileSync(ownershipFile(dir), "utf8");
  if (entries.length > 0 && !content.includes(beingRemoved)) writeIfChanged(ownershipFile(dir), content + beingRemoved);
  // Pulumi's state is removed first. After an interruption, there must be no Pulumi state of a cluster that no longer exists.
  for (const entry of ["pulumi", ...entries]) rmSync(join(dir, entry), { recursive: true, force: true });
}
