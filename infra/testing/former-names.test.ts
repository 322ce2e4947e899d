/**
 * Tests the names of resources in the stack: each begins with the name of its component, and `up` finds each resource of an older
 * version again. `up` deletes each resource that it does not find, even if a renamed resource represents the same object in
 * the cluster.
 */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { formerName } from "../kubernetes/former-names.ts";
import { formerUrnsFile, objectOf, readFormerUrns, stacks, urnsOf } from "./former-urns.ts";
import { identityOf, type RecordedResource, recordStack } from "./record.ts";

/** Pulumi generates this Secret's name in the cluster from the resource name, so the resource must not be renamed. */
const exceptions = ["tenants-generation"];

/**
 * Objects that an upgrade deletes. In `prod`, the gateway's own pods read the sessions' logs, so the API needs no Role. Sessions
 * have another PriorityClass, because the value of a class can't be changed.
 */
const gone = ["PriorityClass berth-session", "Role tenant-acme/berth-api", "RoleBinding tenant-acme/berth-api"];

describe.each(Object.keys(stacks))("the stack %s", (stack) => {
  let resources: RecordedResource[];
  beforeAll(async () => {
    vi.resetModules(); // the program runs on import
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    resources = await recordStack(...(stacks[stack] ?? ["", {}]));
  });

  test("the name of a component's resource begins with the component's name", () => {
    const others = resources.filter((resource) => {
      const { component } = identityOf(resource);
      return component !== undefined && resource.name !== component && !resource.name.startsWith(`${component}-`);
    });
    expect([...new Set(others.map(({ name }) => name))]).toEqual(exceptions);
  });

  test("no resource has the former name of another resource", () => {
    const made = new Set(resources.map((resource) => identityOf(resource).urn));
    const former = resources.flatMap((resource) => identityOf(resource).formerUrns);
    expect(former.filter((urn, index) => made.has(urn) || former.indexOf(urn) !== index)).toEqual([]);
    for (const { type, name } of resources) {
      const before = formerName(type, name);
      expect(before && formerName(type, before)).toBeUndefined();
    }
  });

  test("each resource of an older version is found by exactly one resource, which represents the same object", () => {
    const objects = resources.map(objectOf);
    const formerUrns = readFormerUrns();
    if (process.env.UPGRADE_FROM !== undefined) {
      const commit = execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }).trim();
      const now = { [commit]: { ...formerUrns[commit], [stack]: urnsOf(resources) } };
      writeFileSync(formerUrnsFile, `${JSON.stringify(now, null, 2)}\n`);
    }
    for (const [commit, byStack] of Object.entries(readFormerUrns()))
      for (const [urn, object] of Object.entries(byStack[stack] ?? {})) {
        const finders = resources.filter((resource) => {
          const identity = identityOf(resource);
          return identity.urn === urn || identity.formerUrns.includes(urn);
        });
        // If no resource finds the former one, `up` deletes it. In that case no other resource may represent the same object.
        const goes = gone.includes(object) && !objects.includes(object);
        expect(finders.map(objectOf), `${urn} of ${commit}`).toEqual(goes ? [] : [object]);
      }
  });
});
