/**
 * Ends connections whose caller has lost the right to them. The check runs whenever the tenants file has changed, and
 * twice a second, because keys expire and tickets and links are revoked at any time. Its cost grows with the number of
 * open connections, and it makes one query if a connection was opened with a ticket or a link.
 */
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { TenantsFile } from "../../config/tenantsFile.ts";
import type { Grants } from "../../store/grants.ts";
import { type Credential, lossOf } from "./credential.ts";

/** What a connection was opened with. */
export interface LetInBy {
  credential: Credential;
  /** The id of the ticket or link, if it can be revoked. */
  grant?: string | undefined;
}

interface Watched extends LetInBy {
  /**
   * Called at each check. Returns why the connection must end although its credential is still valid, as a text for the user.
   * Undefined: the connection stays open.
   */
  also: () => string | undefined;
  end: (why: string) => void;
}

export interface RevocationsOptions {
  /** Milliseconds between two checks. Default: 500. */
  intervalMs?: number;
  /** Reads which tickets and links were revoked. Default: revoked tickets and links end no connection. */
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
    tenants.onChange(() => this.check());
    this.#timer = setInterval(() => {
      this.check();
      void this.#askForRevoked();
    }, options.intervalMs ?? 500).unref();
  }

  /**
   * Calls `end` once, at the first check at which the right is lost or `also` returns a reason. The returned function stops
   * the watching.
   */
  watch(by: LetInBy, end: (why: string) => void, also: () => string | undefined = () => undefined) {
    const watched = { ...by, end, also };
    this.#watched.add(watched);
    return (): void => void this.#watched.delete(watched);
  }

  check(): void {
    for (const watched of this.#watched) {
      const why = lossOf(watched.credential, this.tenants) ?? watched.also();
      if (why !== undefined) this.#end(watched, why);
    }
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /**
   * Ends the connections whose ticket or link was revoked. While Postgres does not answer, open connections stay open,
   * and no new ones are opened.
   */
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
      logger?.warn({ err: error }, "the revoked links can't be read at the moment");
    }
    this.#asking = false;
  }

  #end(watched: Watched, why: string): void {
    this.#watched.delete(watched);
    watched.end(why);
  }
}
