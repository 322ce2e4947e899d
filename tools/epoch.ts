/**
 * `node tools/epoch.ts FILE EPOCH` writes the build argument SECURITY_EPOCH of the desktop image into the stack's file.
 * Example: `node tools/epoch.ts Pulumi.prod.yaml 2026-W48`. The next `up` builds the desktop image again, with the newest Debian
 * packages. The comments of the file stay.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseDocument } from "yaml";

/** The text of a stack's file with this epoch. Pure. @throws Error if `images.agent` names a finished image */
export function withEpoch(text: string, epoch: string): string {
  const file = parseDocument(text);
  const agent = ["config", "berth:images", "agent"];
  if (typeof file.getIn(agent) === "string")
    throw new Error("images.agent names a finished image, so Berth builds none. Build that image again instead.");
  file.setIn([...agent, "buildArgs", "SECURITY_EPOCH"], epoch);
  return file.toString({ lineWidth: 0 });
}

if (import.meta.main) {
  const [file, epoch] = process.argv.slice(2);
  if (file === undefined || epoch === undefined) throw new Error("usage: node tools/epoch.ts FILE EPOCH");
  writeFileSync(file, withEpoch(readFileSync(file, "utf8"), epoch));
}
