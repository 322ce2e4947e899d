/** The state directory, known by a file of ours: what is not marked as Berth's is never used or removed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { machine } from "../../machine/machine.ts";
import { UserError } from "../lib/steps.ts";
import { writeIfChanged } from "./layout.ts";

const { network, runDir, stateDir } = machine;

const mark = (dir: string) => join(dir, "README");

const firstWords = "The state of Berth's local cluster";
const text = `${firstWords}, whose addresses are in ${network}.
\`npm run down -- --purge\` in the checkout removes it.\n`;

/** What a purge adds to the mark, before it removes anything. */
const beingRemoved = "Its removal has begun.\n";

/**
 * Makes the directory and marks it as Berth's. Where a purge of it was killed, this ends the purge first.
 * @throws UserError for one that holds something else, which a purge would remove, or a cluster with other addresses
 */
export function claimStateDir(dir = stateDir): void {
  mkdirSync(dir, { recursive: true });
  if (!isClaimed(dir) && readdirSync(dir).length > 0)
    throw new UserError(`${dir} holds files that aren't Berth's: set BERTH_STATE to a new or an empty folder.`);
  if (isClaimed(dir) && readFileSync(mark(dir), "utf8").includes(beingRemoved)) empty(dir);
  refuseEarlierVersion(dir);
  if (isClaimed(dir) && readFileSync(mark(dir), "utf8") === text) return;
  if (existsSync(join(dir, "etcd")))
    throw new UserError(
      `The cluster in ${dir} has other addresses than those in ${network}, and they can't be changed: set BERTH_NETWORK as it was, or remove the cluster (npm run down -- --purge).`,
    );
  // In an empty folder without a file beside it meanwhile: after a kill that would be one that isn't Berth's.
  if (readdirSync(dir).length <= 1) writeFileSync(mark(dir), text);
  else writeIfChanged(mark(dir), text);
}

/**
 * Before the cluster had namespaces of its own, its parts were spread over the machine, and its mark told no addresses.
 * @throws UserError for such a cluster's state
 */
export function refuseEarlierVersion(dir = stateDir): void {
  if (isClaimed(dir) && existsSync(join(dir, "etcd")) && !readFileSync(mark(dir), "utf8").includes("addresses"))
    throw new UserError(
      `${dir} is of an earlier version of Berth, which alone can remove it: run npm run down -- --purge in its checkout.`,
    );
}

/** By the text of the mark: many a folder has a README. One that is empty was left by a start that was killed as it began. */
function isClaimed(dir: string): boolean {
  if (!existsSync(mark(dir))) return false;
  const content = readFileSync(mark(dir), "utf8");
  return content.startsWith(firstWords) || (content === "" && readdirSync(dir).length === 1);
}

/** Removes the state and the run directory. Throws a UserError for a directory that isn't marked as Berth's. */
export function removeState(dir = stateDir): void {
  if (existsSync(dir) && !isClaimed(dir))
    throw new UserError(`${dir} holds no README of Berth's, so it is left as it is. Remove it by hand if it is yours.`);
  if (existsSync(mark(dir))) empty(dir);
  rmSync(dir, { recursive: true, force: true });
  rmSync(runDir, { recursive: true, force: true });
}

/** The mark goes last, so that an interrupted removal can be taken up again. */
function empty(dir: string): void {
  const entries = readdirSync(dir).filter((entry) => join(dir, entry) !== mark(dir));
  const content = readFileSync(mark(dir), "utf8");
  if (entries.length > 0 && !content.includes(beingRemoved)) writeIfChanged(mark(dir), content + beingRemoved);
  // Pulumi's goes first, because it tells of a cluster that is no more.
  for (const entry of ["pulumi", ...entries]) rmSync(join(dir, entry), { recursive: true, force: true });
}
