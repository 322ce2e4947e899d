/**
 * Compares every resource of each stack with a golden file, so that the diff of the golden files shows each change of infra/.
 * upgrade-from.golden.json names the commit of the version from which stacks are upgraded, and lists the resources that an
 * upgrade must keep.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { identityOf, type RecordedResource, recordStack } from "./record.ts";
import { type Kept, keptOf, lost } from "./upgrade.ts";

const howTo = "if the change is meant: UPDATE_GOLDEN=1 npm run test:unit, then review the diff of infra/testdata";

/** The version from which stacks are upgraded. */
interface UpgradeFrom {
  commit: string;
  /** The version's name, and the reason why upgrades start there. */
  why: string;
  /** By stack: the resources of that version that an upgrade must keep. */
  keep: Record<string, Kept[]>;
}

const upgradeFrom = new URL("../testdata/upgrade-from.golden.json", import.meta.url);
const readUpgradeFrom = () => JSON.parse(readFileSync(upgradeFrom, "utf8")) as UpgradeFrom;

describe.each(["dev", "prod", "kind"])("the stack %s", (stack) => {
  let resources: RecordedResource[];
  beforeAll(async () => {
    vi.resetModules(); // the program runs on import
    // Without this, the providers would use these variables as settings of the stack.
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    resources = await recordStack(stack);
  });

  test("makes the resources of the golden file", () => {
    const golden = new URL(`../testdata/${stack}.golden.json`, import.meta.url);
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, `${JSON.stringify(resources, null, 2)}\n`);
    expect(resources, howTo).toEqual(JSON.parse(readFileSync(golden, "utf8")));
  });

  // The version from which stacks are upgraded had no stack `kind`.
  if (stack === "kind") return;
  test("keeps all resources that an upgrade from the previous version must keep", () => {
    const made = resources.map((resource) => ({ ...resource, ...identityOf(resource) }));
    const why = process.env.UPGRADE_FROM;
    if (why !== undefined) {
      const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();
      const keep = { ...readUpgradeFrom().keep, [stack]: keptOf(made) };
      writeFileSync(upgradeFrom, `${JSON.stringify({ commit, why, keep }, null, 2)}\n`);
    }
    const { keep } = readUpgradeFrom();
    expect(keep[stack]?.length).toBeGreaterThan(0);
    expect(lost(keep[stack] ?? [], made)).toEqual([]);
  });
});
