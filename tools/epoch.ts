/**
 * `node tools/epoch.ts EPOCH FILE…` writes the build argument SECURITY_EPOCH of the desktop image into each stack's file whose
 * stack builds this image. Example: `node tools/epoch.ts 2026-W48 Pulumi.*.yaml`. The next `up` of such a stack builds the image
 * again, with the newest Debian packages. The comments of the files stay. If no stack builds the image, the command fails.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parseDocument } from "yaml";
import { isLoopback } from "../infra/images/base-images/pinned.ts";

/**
 * The text of a stack's file with this epoch. Undefined if the stack's config names a finished desktop image, or if its registry
 * is on this machine (`dev`, `kind`), so that nobody else gets the image. Pure.
 */
export function withEpoch(text: string, epoch: string): string | undefined {
  const file = parseDocument(text);
  const agent = ["config", "berth:images", "agent"];
  if (typeof file.getIn(agent) === "string" || isLoopback(String(file.getIn(["config", "berth:registry"]) ?? "")))
    return undefined;
  file.setIn([...agent, "buildArgs", "SECURITY_EPOCH"], epoch);
  return file.toString({ lineWidth: 0 });
}

if (import.meta.main) {
  const [epoch, ...files] = process.argv.slice(2);
  if (epoch === undefined || files.length === 0) throw new Error("usage: node tools/epoch.ts EPOCH FILE…");
  const built = files.flatMap((file) => {
    const text = withEpoch(readFileSync(file, "utf8"), epoch);
    return text === undefined ? [] : [{ file, text }];
  });
  for (const { file, text } of built) {
    writeFileSync(file, text);
    console.log(`${file}: SECURITY_EPOCH is ${epoch}`);
  }
  if (built.length === 0) {
    console.error(
      `berth: no stack of ${files.join(", ")} builds the desktop image for other machines, so no image gets new Debian packages. Build your finished images again where you build them.`,
    );
    process.exitCode = 1;
  }
}
