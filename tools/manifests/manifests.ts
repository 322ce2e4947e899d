/** Manifests as files in a folder, and the findings of checks about them. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { V1ObjectMeta } from "@kubernetes/client-node";
import { parse } from "yaml";

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: V1ObjectMeta;
}

/** A finding: what a check reports about an object. */
export interface Finding {
  tool: "kube-score" | "monokle" | "pod-security";
  /** The tool's name of the rule. */
  rule: string;
  /** The object, for example `Deployment berth/api`. */
  object: string;
  says: string;
}

/** Returns the object's name, such as `Deployment berth/api`, or `Namespace berth` for an object without a namespace. */
export const objectName = ({ kind, metadata: { namespace, name } }: Manifest): string =>
  `${kind} ${namespace ? `${namespace}/` : ""}${name}`;

/** Reads all manifests in the folder and its subfolders. Each file has one manifest. */
export const readManifests = (directory: string): Manifest[] =>
  globSync("**/*.yaml", { cwd: directory })
    .sort()
    .map((file) => parse(readFileSync(join(directory, file), "utf8")));
