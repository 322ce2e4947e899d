/** Writes files that other processes may read or write at the same time. */
import {
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { ownName } from "./process.ts";

/** Writes the file atomically, if its content differs. Returns whether the file was written. Default mode: 0644. */
export function writeIfChanged(path: string, content: string, mode = 0o644): boolean {
  try {
    if (readFileSync(path, "utf8") === content) return false;
  } catch {
    mkdirSync(dirname(path), { recursive: true });
  }
  moveInto(path, (unfinished) => writeFileSync(unfinished, content, { mode }));
  return true;
}

/** Makes `path` a link to `target`, unless it is one. Removes a file or folder that is in the way. */
export function linkIfChanged(path: string, target: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) {
    if (readlinkSync(path) === target) return;
  } else rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true });
  moveInto(path, (unfinished) => symlinkSync(target, unfinished));
}

/** Gives the file its path in one step, when the file is complete. */
function moveInto(path: string, make: (unfinished: string) => void): void {
  const unfinished = `${path}.unfinished-${ownName()}`;
  make(unfinished);
  renameSync(unfinished, path);
}
