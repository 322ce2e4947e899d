/**
 * Undoes what a proof that was cut off may have left, and what `up` does not know of. Each part is undone for itself: where
 * there is no cluster yet, or no stack, there is nothing to undo. `npm run test:proofs` runs this file before each proof.
 */
import { kubectl } from "../../local/cluster/index.ts";
import { machine } from "../../machine/machine.ts";
import { removeVersionBefore } from "../version-before.ts";
import { forgetMigration, forgetUpgrade, releaseQueue } from "./platform.ts";

const { nodeName } = machine;

const parts: Record<string, () => Promise<unknown>> = {
  "the node takes pods": () => kubectl(["uncordon", nodeName]),
  "the queue has no limit": releaseQueue,
  "the database has no migration of the rollout's proof": forgetMigration,
  "the database has nothing of the upgrade's proof": forgetUpgrade,
  "there is no worktree of the upgrade's proof": removeVersionBefore,
};

for (const [what, undo] of Object.entries(parts)) {
  const failed = await undo().then(
    () => undefined,
    (error: Error) => error.message.trim().split("\n").at(-1),
  );
  console.log(failed === undefined ? what : `not seen to: ${what} (${failed})`);
}
