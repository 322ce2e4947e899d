/** Manifests as files of a directory, and what is said about them. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { V1ObjectMeta } from "@kubernetes/client-node";
import { parse } from "yaml";

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: V1ObjectMeta;
}

/** What a check has against an object. */
export interface Finding {
  tool: "kube-score" | "monokle" | "pod-security";
  /** As the tool calls it. */
  rule: string;
  /** `Deployment berth/api`. */
  object: string;
  says: string;
}

/** `Deployment berth/api`; `Namespace berth` for what is in no namespace. */
export const objectName = ({ kind, metadata: { namespace, name } }: Manifest): string =>
  `${kind} ${namespace ? `${namespace}/` : ""}${name}`;

/** All manifests below the directory, one per file. */
export const readManifests = (directory: string): Manifest[] =>
  globSync("**/*.yaml", { cwd: directory })
    .sort()
    .map((file) => parse(readFileSync(join(directory, file), "utf8")));
