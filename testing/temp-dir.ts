/** Gives the tests of a run a directory for temporary files, and removes the directory with everything in it after the last test. */
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Vitest calls this function once per run (`globalSetup`). The workers, which start later, inherit `TMPDIR`. */
export default function setup(): () => void {
  const dir = mkdtempSync(join(tmpdir(), "berth-tests-"));
  // Some tests start a program as another user.
  chmodSync(dir, 0o755);
  process.env.TMPDIR = dir;
  return () => rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}
