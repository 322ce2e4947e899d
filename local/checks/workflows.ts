/** `npm run check:workflows`: the GitHub workflows, by actionlint. */
import { existsSync, globSync } from "node:fs";
import { execa } from "execa";
import { root } from "../../machine/machine.ts";
import { step, UserError } from "../lib/steps.ts";
import { actionlint, ensureActionlint } from "./programs.ts";

try {
  if (!existsSync(actionlint)) await step("actionlint, once", ensureActionlint);
  // shellcheck and pyflakes are not on every machine, and the verdict must be the same on all.
  const { exitCode } = await execa(actionlint, ["-shellcheck=", "-pyflakes="], {
    cwd: root,
    stdio: "inherit",
    reject: false,
  });
  if (exitCode !== 0) process.exitCode = 1;
  else console.log(`Checked ${globSync(".github/workflows/*.yml", { cwd: root }).length} workflows.`);
} catch (error) {
  console.error(error instanceof UserError ? `berth: ${error.message}` : error);
  process.exitCode = 1;
}
