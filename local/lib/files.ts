/** Writes files that other processes may read at the same time. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Writes the file atomically, if its content differs. Returns whether the file was written. Default mode: 0644. */
export function writeIfChanged(path: string, content: string, mode = 0o644): boolean {
  try {
    if (readFileSync(path, "utf8") === content) return false;
  } catch {
    mkdirSync(dirname(path), { recursive: true });
  }
  // Another process may write the same file at the same time.
  const unfinished = `${path}.unfinished-${process.pid}`;
  writeFileSync(unfinished, content, { mode });
  renameSync(unfinished, path);
  return true;
}
