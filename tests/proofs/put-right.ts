/**
 * Undoes what an interrupted proof may have left and what `up` does not repair. Each part is undone independently. If there
 * is no cluster or no stack yet, there is nothing to undo. `npm run test:proofs` runs this file before each proof.
 */
import { kubectl } from "../../local/cluster/kubectl.ts";
import { machine } from "../../machine/machine.ts";
import { removeVersionBefore } from "../version-before.ts";
import { forgetMigration, forgetUpgrade, releaseQueue } from "./platform.ts";

const { nodeName } = machine;

const parts: Record<string, () => Promise<unknown>> = {
  "the node takes pods": () => kubectl(["uncordon", nodeName]),
  "the queue has no limit": releaseQueue,
  "the database has no migration of the rollout proof": forgetMigration,
  "the database has no data of the upgrade proof": forgetUpgrade,
  "there is no worktree of the upgrade proof": removeVersionBefore,
};

for (const [what, undo] of Object.entries(parts)) {
  const failed = await undo().then(
    () => undefined,
    (error: Error) => error.message.trim().split("\n").at(-1),
  );
  console.log(failed === undefined ? what : `not checked: ${what} (${failed})`);
}
