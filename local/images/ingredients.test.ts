import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { stoppable } from "../lib/steps.ts";
import { npm } from "./ingredients.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "berth-ingredients-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test("what waits for npm's registry ends where something beside it has failed", async () => {
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/npm"), "#!/bin/sh\nexec sleep 60\n", { mode: 0o755 });
  vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
  const stop = new AbortController();
  const made = stoppable(stop.signal, () => npm("usr/local").make(folder));
  setTimeout(() => stop.abort(), 200);
  await expect(made).rejects.toThrow(/abort|cancel/i);
});
