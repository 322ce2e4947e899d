/** Rendering and checking leave alone whatever Pulumi backend the shell knows. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { root } from "../../local/lib/paths.ts";

test.each(["render", "policy"])(
  "`%s` writes nothing into the backend or the home that the environment names",
  async (command) => {
    const folder = mkdtempSync(join(tmpdir(), "berth-traps-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [backend, home] = [join(folder, "backend"), join(folder, "home")];
    for (const trap of [backend, home]) mkdirSync(trap);
    const env = {
      PULUMI_BACKEND_URL: `file://${backend}`,
      PULUMI_HOME: home,
      PULUMI_STACK: "organization/berth/trap",
      PULUMI_ACCESS_TOKEN: "trap",
      PULUMI_CONFIG_PASSPHRASE: "trap",
    };
    const run = await execa(process.execPath, ["infra/manifests/main.ts", command, "dev"], {
      cwd: root,
      env,
      reject: false,
      all: true,
    });
    expect(run.exitCode, run.all).toBe(0);
    // `pulumi version` writes its log into the home that it finds.
    const written = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
      (path) => !path.startsWith("home/logs"),
    );
    expect(written.sort()).toEqual(["backend", "home"]);
  },
);
