import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, onTestFinished, test } from "vitest";
import { checkHistory } from "./version-before.ts";

test("in a clone without the previous version's history, the error says how to fetch the history", async () => {
  const clone = mkdtempSync(join(tmpdir(), "berth-clone-"));
  onTestFinished(() => rmSync(clone, { recursive: true }));
  await execa("git", ["init"], { cwd: clone });
  await expect(checkHistory(clone)).rejects.toThrow(/^This clone has no commit [0-9a-f]{40}, .*git fetch --unshallow/);
});
