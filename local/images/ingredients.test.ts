import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "@berth/testing/until.ts";
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
  const runs = join(folder, "runs");
  writeFileSync(join(folder, "bin/npm"), `#!/bin/sh\ntouch ${runs}\nexec sleep 60\n`, { mode: 0o755 });
  vi.stubEnv("PATH", `${join(folder, "bin")}:${process.env.PATH}`);
  const stop = new AbortController();
  const made = stoppable(stop.signal, () => npm("usr/local").make(folder));
  const failed = expect(made).rejects.toThrow(/abort|cancel/i);
  await until("npm runs", 30, () => existsSync(runs));
  stop.abort();
  await failed;
});
