/**
 * Compares every resource of each stack with a golden file, so that the diff of the golden files shows each change of infra/.
 * upgrade-from.golden.json names the commit of the version from which stacks are upgraded, and lists the resources that an
 * upgrade must keep.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { differences } from "./differences.ts";
import { digestOf, identityOf, type RecordedResource, recordStack } from "./record.ts";
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

/** The path of a golden file. */
const golden = (name: string) => new URL(`../testdata/${name}.golden.json`, import.meta.url);
const readGolden = (name: string) => JSON.parse(readFileSync(golden(name), "utf8"));

function expectGolden(name: string, found: unknown): void {
  if (process.env.UPDATE_GOLDEN) writeFileSync(golden(name), `${JSON.stringify(found, null, 2)}\n`);
  expect(found, howTo).toEqual(readGolden(name));
}

const readUpgradeFrom = (): UpgradeFrom => readGolden("upgrade-from");

async function record(...args: Parameters<typeof recordStack>): Promise<RecordedResource[]> {
  vi.resetModules(); // the program runs on import
  // Without this, the providers would use these variables as settings of the stack.
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
  return recordStack(...args);
}

describe.each(["dev", "prod", "kind"])("the stack %s", (stack) => {
  let resources: RecordedResource[];
  beforeAll(async () => {
    resources = await record(stack);
  });

  test("makes the resources of the golden file", () => expectGolden(stack, resources));

  // The version from which stacks are upgraded had no stack `kind`.
  if (stack === "kind") return;
  test("keeps all resources that an upgrade from the previous version must keep", () => {
    const made = resources.map((resource) => ({ ...resource, ...identityOf(resource) }));
    const why = process.env.UPGRADE_FROM;
    if (why !== undefined) {
      const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();
      const keep = { ...readUpgradeFrom().keep, [stack]: keptOf(made) };
      writeFileSync(golden("upgrade-from"), `${JSON.stringify({ commit, why, keep }, null, 2)}\n`);
    }
    const { keep } = readUpgradeFrom();
    expect(keep[stack]?.length).toBeGreaterThan(0);
    expect(lost(keep[stack] ?? [], made)).toEqual([]);
  });
});

// These golden files have only what differs from the stack `prod`, so they show what is special about each cloud.
test.each(["eks", "gke", "aks"])(
  "examples/%s/berth.yaml differs from the stack prod as the golden file says",
  async (cloud) => {
    const resources = await record("prod", {}, digestOf, `examples/${cloud}/berth.yaml`);
    expectGolden(cloud, differences(readGolden("prod"), resources));
  },
);
