/** `npm run check:workflows`: checks the GitHub workflows with actionlint. */
import { existsSync, globSync } from "node:fs";
import { execa } from "execa";
import { actionlint } from "../../local/checks/programs.ts";
import { step, UserError } from "../../local/lib/steps.ts";
import { root } from "../../machine/machine.ts";

try {
  if (!existsSync(actionlint.file)) await step("actionlint, once", actionlint.ensure);
  // Some machines lack shellcheck and pyflakes, and the result must be the same on every machine.
  const { exitCode } = await execa(actionlint.file, ["-shellcheck=", "-pyflakes="], {
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
