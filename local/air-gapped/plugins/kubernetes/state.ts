/** What the state keeps of an object, written as the official plugin writes it, so that either goes on where the other was. */
import { randomBytes } from "node:crypto";
import { isObject, type Props, plain } from "../protocol/values.ts";
import { withSecrets } from "./inputs.ts";
import type { KubeObject } from "./object.ts";

/** @param inputs with their secrets marked @param fieldManager of server-side apply; one per object, for good */
export const stateOf = (inputs: Props, live: Props, fieldManager: string, initialApiVersion?: unknown): Props => ({
  ...withSecrets(live, inputs),
  __inputs: withSecrets(plain<Props>(inputs), inputs),
  __initialApiVersion: initialApiVersion ?? live.apiVersion,
  __fieldManager: fieldManager,
});

/** The inputs of the last run, secrets in plain text. */
export const oldInputs = (state: Props): Props => {
  const inputs = plain(state.__inputs);
  return isObject(inputs) ? inputs : {};
};

/** The object as it was in the cluster, secrets in plain text. */
export function oldLive(state: Props): KubeObject {
  const { __inputs, __initialApiVersion, __fieldManager, ...live } = plain<Props>(state);
  return live as KubeObject;
}

export const fieldManagerOf = (state: Props): string =>
  typeof state.__fieldManager === "string"
    ? state.__fieldManager
    : `pulumi-kubernetes-${randomBytes(4).toString("hex")}`;
