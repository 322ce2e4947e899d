/** Tests that a throw-away stack uses none of these settings of the shell: Pulumi's backend, home, stack and passphrase. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { ensurePulumi, pulumiRoot } from "../../local/pulumi/tools.ts";
import { openOwnStack } from "./throw-away.ts";

beforeAll(() => ensurePulumi().then(() => {}));

test("a stack is created and opened again in its own folder, whatever the shell's variables say", async () => {
  const folder = mkdtempSync(join(tmpdir(), "berth-own-stack-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const name of ["backend", "home", "traps", "traps/backend", "traps/home"]) mkdirSync(join(folder, name));
  const trap = (passphrase: string) => {
    vi.stubEnv("PULUMI_BACKEND_URL", `file://${join(folder, "traps/backend")}`);
    vi.stubEnv("PULUMI_HOME", join(folder, "traps/home"));
    vi.stubEnv("PULUMI_STACK", "organization/berth/trap");
    vi.stubEnv("PULUMI_ACCESS_TOKEN", "trap");
    vi.stubEnv("PULUMI_CONFIG_PASSPHRASE", passphrase);
  };
  const open = () =>
    openOwnStack({
      name: "own",
      project: "berth-own",
      program: async () => ({ word: pulumi.secret("kept") }),
      backend: join(folder, "backend"),
      tools: { root: pulumiRoot, home: join(folder, "home") },
    });
  trap("one trap");
  await (await open()).up();
  trap("another trap");
  expect((await (await open()).outputs()).word).toEqual({ value: "kept", secret: true });
  // Only `pulumi version` writes to this home: the SDK runs it first, and it always writes a log.
  const written = readdirSync(join(folder, "traps"), { recursive: true, encoding: "utf8" });
  expect(written.filter((path) => !path.startsWith("home/logs")).sort()).toEqual(["backend", "home"]);
  expect(readdirSync(join(folder, "backend/.pulumi/stacks/berth-own"))).toContain("own.json");
});
