/**
 * The state of an object, in the official plugin's format. So the official plugin can use a state that the stand-in wrote, and
 * the stand-in can use a state that the official plugin wrote.
 */
import { randomBytes } from "node:crypto";
import { isObject, type Props, plain } from "../protocol/values.ts";
import { withSecrets } from "./inputs.ts";
import type { KubeObject } from "./object.ts";

/**
 * @param inputs the inputs, with secrets marked
 * @param fieldManager the object's field manager for server-side apply. An object keeps its field manager in all later runs
 */
export const stateOf = (inputs: Props, live: Props, fieldManager: string, initialApiVersion?: unknown): Props => ({
  ...withSecrets(live, inputs),
  __inputs: withSecrets(plain<Props>(inputs), inputs),
  __initialApiVersion: initialApiVersion ?? live.apiVersion,
  __fieldManager: fieldManager,
});

/** The inputs of the last run, with secrets in plain text. */
export const oldInputs = (state: Props): Props => {
  const inputs = plain(state.__inputs);
  return isObject(inputs) ? inputs : {};
};

/** The object as the last run saw it in the cluster, with secrets in plain text. */
export function oldLive(state: Props): KubeObject {
  const { __inputs, __initialApiVersion, __fieldManager, ...live } = plain<Props>(state);
  return live as KubeObject;
}

export const fieldManagerOf = (state: Props): string =>
  typeof state.__fieldManager === "string"
    ? state.__fieldManager
    : `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
