/** The state directory, known by a file of ours: what is not marked as Berth's is never removed. */
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runDir, stateDir } from "../lib/paths.ts";
import { UserError } from "../lib/steps.ts";
import { writeIfChanged } from "./layout.ts";
const mark = join(stateDir, "README");
export function claimStateDir() {
    mkdirSync(stateDir, { recursive: true });
    writeIfChanged(mark, "The state of Berth's local cluster. `npm run down -- --purge` in the checkout removes it.\n");
}
/** Whether a cluster has been started here. */
export const isClaimed = () => existsSync(mark);
/** Removes the state and the run directory. Throws a UserError for a directory that isn't marked as Berth's. */
export function removeState() {
    if (existsSync(stateDir) && !existsSync(mark))
        throw new UserError(`${stateDir} holds no README of Berth's, so it is left as it is. Remove it by hand if it is yours.`);
    // the mark goes last, so that an interrupted removal can be taken up again
    const entries = existsSync(stateDir) ? readdirSync(stateDir).filter((entry) => join(stateDir, entry) !== mark) : [];
    for (const entry of entries)
        rmSync(join(stateDir, entry), { recursive: true, force: true });
    rmSync(stateDir, { recursive: true, force: true });
    rmSync(runDir, { recursive: true, force: true });
}
