/**
 * Ends what goes on for long when its caller may not any more: looked at whenever the tenants' file has changed, and twice a
 * second, because keys and links expire between two changes, and tickets and links are revoked. A look costs time with the
 * number of what goes on, and one statement if any of that came by a ticket or a link.
 */
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../../config/tenantsFile.ts";
import type { Grants } from "../../store/grants.ts";
import { type Credential, lossOf } from "./credential.ts";

/** What lets somebody stay. */
export interface LetInBy {
  credential: Credential;
  /** The id of the ticket or link, if it came by one that can be revoked. */
  grant?: string | undefined;
}

interface Watched extends LetInBy {
  /** What else takes the right away, for people. */
  also: () => string | undefined;
  end: (why: string) => void;
}

export interface RevocationsOptions {
  /** Milliseconds between two looks. Default 500. */
  intervalMs?: number;
  /** Knows what was revoked. Default: nothing is. */
  grants?: Pick<Grants, "revokedOf">;
  logger?: Pick<Logger, "warn">;
}

export class Revocations implements OnApplicationShutdown {
  readonly #watched = new Set<Watched>();
  readonly #timer: NodeJS.Timeout;
  #asking = false;

  constructor(
    private readonly tenants: Pick<TenantsFile, "get" | "onChange">,
    private readonly options: RevocationsOptions = {},
  ) {
    tenants.onChange(() => this.look());
    this.#timer = setInterval(() => {
      this.look();
      void this.#askForRevoked();
    }, options.intervalMs ?? 500).unref();
  }

  /** Calls `end` once, as soon as the right is lost or `also` says why. Returns what stops the watching. */
  watch(by: LetInBy, end: (why: string) => void, also: () => string | undefined = () => undefined) {
    const watched = { ...by, end, also };
    this.#watched.add(watched);
    return (): void => void this.#watched.delete(watched);
  }

  look(): void {
    for (const watched of this.#watched) {
      const why = lossOf(watched.credential, this.tenants) ?? watched.also();
      if (why !== undefined) this.#end(watched, why);
    }
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** While Postgres is away what is open stays open; nothing new is opened then. */
  async #askForRevoked(): Promise<void> {
    const { grants, logger } = this.options;
    const ids = new Set([...this.#watched].flatMap(({ grant }) => grant ?? []));
    if (grants === undefined || ids.size === 0 || this.#asking) return;
    this.#asking = true;
    try {
      const revoked = new Set(await grants.revokedOf([...ids]));
      for (const watched of this.#watched) {
        if (watched.grant !== undefined && revoked.has(watched.grant)) this.#end(watched, "The link has been revoked.");
      }
    } catch (error) {
      logger?.warn({ err: error }, "whether links were revoked can't be asked at the moment");
    }
    this.#asking = false;
  }

  #end(watched: Watched, why: string): void {
    this.#watched.delete(watched);
    watched.end(why);
  }
}
