/** Every resource of each stack, as reviewed. A change of infra/ shows in the diff of these files. */
import { readFileSync, writeFileSync } from "node:fs";
import { expect, test, vi } from "vitest";
import { recordStack } from "./record.ts";

const howTo = "if the change is meant: UPDATE_GOLDEN=1 npm run test:unit, then review the diff of infra/testdata";

test.each(["dev", "prod"])(
  "the stack %s makes what was reviewed",
  async (stack) => {
    vi.resetModules(); // the program runs on import
    // The providers would take these for settings of the stack.
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    const resources = await recordStack(stack);
    const golden = new URL(`../testdata/${stack}.golden.json`, import.meta.url);
    if (process.env.UPDATE_GOLDEN) writeFileSync(golden, `${JSON.stringify(resources, null, 2)}\n`);
    expect(resources, howTo).toEqual(JSON.parse(readFileSync(golden, "utf8")));
  },
  60_000,
); // loads all of Pulumi, which takes its time on a busy machine
