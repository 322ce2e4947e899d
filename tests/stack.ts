import { execa } from "execa";
import { expect } from "vitest";
import { root } from "../local/lib/paths.ts";
import { stackEnvironment } from "../local/pulumi/stack.ts";

/** Fails with Pulumi's own words where a preview of the stack `dev` has anything to do. */
export async function expectNoChanges(): Promise<void> {
  const preview = execa("pulumi", ["preview", "--stack", "dev", "--expect-no-changes", "--non-interactive"], {
    cwd: root,
    env: stackEnvironment(),
    reject: false,
    all: true,
  });
  const { exitCode, all } = await preview;
  expect(exitCode, all).toBe(0);
}
