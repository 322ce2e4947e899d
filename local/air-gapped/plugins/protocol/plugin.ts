/**
 * The interface of a plugin. `serve` offers the plugin to Pulumi over Pulumi's protocol. values.ts describes the format of
 * values.
 */
import type { Props } from "./values.ts";

export interface Plugin {
  /**
   * Returns which arguments of the provider changed, and which changes replace all resources. Default: no change replaces them.
   */
  diffConfig?(olds: Props, news: Props): Diff;
  /** Sets the provider's arguments. Default: the plugin ignores them. @throws Error when the plugin can't use them */
  configure?(args: Props): void;
  /** The resource of a type such as `random:index/randomBytes:RandomBytes`; undefined if the plugin has no such type. */
  resource(type: string): Resource | undefined;
  /**
   * The function behind a token such as `docker:index/getRegistryImage:getRegistryImage`; undefined if the plugin has no such
   * function. Default: the plugin has no functions.
   */
  invoke?(token: string): ((args: Props) => Promise<Props>) | undefined;
}

/** One type of resource. `signal` is aborted when the user wants to end the run. */
export interface Resource {
  /**
   * @returns the inputs that Pulumi stores in the state. If the program gives a Kubernetes object no name, the function adds a
   * generated name
   */
  check(request: Checked): Promise<Props>;
  diff(request: { id: string; state: Props; inputs: Props }): Promise<Diff>;
  create(request: Change): Promise<{ id: string; state: Props }>;
  /** @returns undefined if the resource no longer exists */
  read(request: { id: string; inputs: Props; state: Props }): Promise<{ inputs: Props; state: Props } | undefined>;
  update(request: Change & { id: string; state: Props }): Promise<Props>;
  delete(request: { id: string; state: Props; timeoutSeconds: number; signal: AbortSignal }): Promise<void>;
}

export interface Checked {
  /** The resource's name in the program. */
  name: string;
  /** The inputs of the last run. Empty for a new resource. */
  olds: Props;
  news: Props;
  /** A random seed from Pulumi, for a generated name. */
  seed: Uint8Array;
}

export interface Change {
  inputs: Props;
  /** Whether to return only the expected result and to change nothing. */
  preview: boolean;
  /** The time limit in seconds. 0 means the plugin's own limit. */
  timeoutSeconds: number;
  signal: AbortSignal;
}

export interface Diff {
  /** The names of the inputs that differ. If this list and `replaces` are empty, Pulumi does nothing. */
  changed: string[];
  /** The names of the inputs that require a replacement of the resource. They may include inputs that have not changed. */
  replaces: string[];
  /** Whether the old resource must be deleted before the new one is created. */
  deleteFirst?: boolean;
}

export const unchanged: Diff = { changed: [], replaces: [] };

/** @throws InputError when `given` has a key that the stand-in does not support for `what` */
export function refuseOthers(what: string, given: Props, understood: readonly string[]): void {
  const others = Object.keys(given).filter((key) => !key.startsWith("__") && !understood.includes(key));
  if (others.length > 0)
    throw new InputError(`The stand-in for ${what} does not support ${others.join(", ")}: use the official plugin.`);
}

/** An error in the inputs. The message is one sentence. */
export class InputError extends Error {
  override name = "InputError";
}

/** The resource exists, but is not ready yet. Pulumi keeps the resource in the state, and the next run updates the resource. */
export class NotReady extends Error {
  override name = "NotReady";
  readonly id: string;
  readonly state: Props;

  constructor(message: string, id: string, state: Props) {
    super(message);
    this.id = id;
    this.state = state;
  }
}
