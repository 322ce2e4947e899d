/**
 * Every resource of each stack, as reviewed. A change of infra/ shows in the diff of these files. And what the version before
 * has made, from which a stack is upgraded: upgrade-from.golden.json names the commit, and what of it the upgrade has to keep.
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
  /** Which version that is, and why upgrades start there. */
  why: string;
  /** By stack: what the version makes that an upgrade has to keep. */
  keep: Record<string, Kept[]>;
}

const upgradeFrom = new URL("../testdata/upgrade-from.golden.json", import.meta.url);
const readUpgradeFrom = () => JSON.parse(readFileSync(upgradeFrom, "utf8")) as UpgradeFrom;

describe.each(["dev", "prod"])("the stack %s", (stack) => {
  let resources: RecordedResource[];
  beforeAll(async () => {
    vi.resetModules(); // the program runs on import
    // The providers would take these for settings of the stack.
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    resources = await recordStack(stack);
  }, 60_000); // loads all of Pulumi, which takes its time on a busy machine

  test("makes what was reviewed", () => {
    const golden = new URL(`../testdata/${stack}.golden.json`, import.meta.url);
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, `${JSON.stringify(resources, null, 2)}\n`);
    expect(resources, howTo).toEqual(JSON.parse(readFileSync(golden, "utf8")));
  });

  test("keeps all that an upgrade from the version before must find again", () => {
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
