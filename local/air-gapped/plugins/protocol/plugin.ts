/** What a plugin says of itself; `serve` puts it behind Pulumi's protocol. Values are as values.ts describes them. */
import type { Props } from "./values.ts";

export interface Plugin {
  version: string;
  /** What a changed configuration means. Default: nothing is replaced. */
  diffConfig?(olds: Props, news: Props): Diff;
  /** Takes the provider's arguments. @throws when they can't be used */
  configure(args: Props): void;
  /** The resource of a type such as `random:index/randomBytes:RandomBytes`; undefined where the plugin has none of it. */
  resource(type: string): Resource | undefined;
  /** The function behind a token such as `docker:index/getRegistryImage:getRegistryImage`; undefined where there is none. */
  invoke(token: string): ((args: Props) => Promise<Props>) | undefined;
}

/** One type of resource. `signal` says that the user wants to end the run. */
export interface Resource {
  /** @returns the inputs as they are kept, names given */
  check(request: Checked): Promise<Props>;
  diff(request: { id: string; state: Props; inputs: Props }): Promise<Diff>;
  create(request: Change): Promise<{ id: string; state: Props }>;
  /** @returns undefined where the resource is no more */
  read(request: { id: string; inputs: Props; state: Props }): Promise<{ inputs: Props; state: Props } | undefined>;
  update(request: Change & { id: string; state: Props }): Promise<Props>;
  delete(request: { id: string; state: Props; timeoutSeconds: number; signal: AbortSignal }): Promise<void>;
}

export interface Checked {
  /** The resource's name in the program. */
  name: string;
  /** Empty for a new resource. */
  olds: Props;
  news: Props;
  /** The same in a preview and in the run that follows it. */
  seed: Uint8Array;
}

export interface Change {
  inputs: Props;
  /** Whether to say only what would come of it. */
  preview: boolean;
  /** 0 for the plugin's own limit. */
  timeoutSeconds: number;
  signal: AbortSignal;
}

export interface Diff {
  /** Names of the inputs that differ; none, and nothing is done. */
  changed: string[];
  /** Those of them for which the resource must be made anew. */
  replaces: string[];
  /** Whether the old one must go first. */
  deleteFirst?: boolean;
}

export const unchanged: Diff = { changed: [], replaces: [] };

/** Something wrong with the inputs, as one sentence. */
export class InputError extends Error {
  override name = "InputError";
}

/** The resource exists, but isn't what it should be yet; Pulumi keeps it in the state and tries again in the next run. */
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
