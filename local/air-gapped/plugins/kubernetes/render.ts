/** Writes objects to files, for a provider with `renderYamlToDirectory`. The official plugin writes the same files. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { type KubeObject, metadataOf, namespaceOf } from "./object.ts";

const fileOf = (directory: string, object: KubeObject): string => {
  const name = [
    object.apiVersion.replaceAll("/", "_"),
    object.kind.toLowerCase(),
    namespaceOf(object),
    metadataOf(object).name,
  ];
  return join(directory, "1-manifest", `${name.join("-")}.yaml`);
};

/**
 * The format of the official plugin's files. A program that reads the files may use YAML 1.1, in
 * which `off` without quotes is not a string.
 */
const format = { version: "1.1", sortMapEntries: true, indentSeq: false, lineWidth: 0 } as const;

export function writeFile(directory: string, object: KubeObject): void {
  const file = fileOf(directory, object);
  for (const folder of ["0-crd", "1-manifest"]) mkdirSync(join(directory, folder), { recursive: true, mode: 0o700 });
  writeFileSync(file, stringify(object, format), { mode: 0o600 });
}

export const removeFile = (directory: string, object: KubeObject): void =>
  rmSync(fileOf(directory, object), { force: true });
