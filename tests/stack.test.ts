import { execa } from "execa";
import { expect, test } from "vitest";
import { root } from "../local/lib/paths.ts";
import { stackEnvironment } from "../local/pulumi/stack.ts";

test("right after `npm run up`, the stack has no changes", async () => {
  const preview = execa("pulumi", ["preview", "--stack", "dev", "--expect-no-changes", "--non-interactive"], {
    cwd: root,
    env: stackEnvironment(),
    reject: false,
    all: true,
  });
  const { exitCode, all } = await preview;
  expect(exitCode, all).toBe(0);
});
