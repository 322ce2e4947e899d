import { readFileSync } from "node:fs";
import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/**
 * A resource that the stack `components` (see index.ts) created, read from a JSON file. Its inputs are plain values, not
 * Outputs.
 */
export interface Plain {
  type: string;
  name: string;
  inputs: pulumi.Inputs;
  protect: boolean;
}

class Bare extends pulumi.CustomResource {}

/** Creates the resources one after another, in the order of the file. */
export async function make(kubernetes: k8s.Provider) {
  const file = new pulumi.Config().require("resources");
  const resources: Plain[] = JSON.parse(readFileSync(file, "utf8"));
  for (const { type, name, inputs, protect } of resources)
    new Bare(type, name, inputs, { protect, ...(type.startsWith("kubernetes:") && { provider: kubernetes }) });
}
