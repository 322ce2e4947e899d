/**
 * Ends what goes on for long when its caller may not any more: looked at whenever the tenants' file has changed, and each
 * second, because keys and links expire between two changes. A look costs time with the number of what goes on.
 */
import type { OnApplicationShutdown } from "@nestjs/common";
import type { TenantsFile } from "../../config/tenantsFile.ts";
import { type Credential, lossOf } from "./credential.ts";

interface Watched {
  credential: Credential;
  /** What else takes the right away, for people. */
  also: () => string | undefined;
  end: (why: string) => void;
}

export class Revocations implements OnApplicationShutdown {
  readonly #watched = new Set<Watched>();
  readonly #timer: NodeJS.Timeout;

  constructor(
    private readonly tenants: Pick<TenantsFile, "get" | "onChange">,
    /** Milliseconds between two looks. Default 1000. */
    intervalMs = 1_000,
  ) {
    tenants.onChange(() => this.look());
    this.#timer = setInterval(() => this.look(), intervalMs).unref();
  }

  /** Calls `end` once, as soon as the credential is lost or `also` says why. Returns what stops the watching. */
  watch(credential: Credential, end: (why: string) => void, also: () => string | undefined = () => undefined) {
    const watched = { credential, end, also };
    this.#watched.add(watched);
    return (): void => void this.#watched.delete(watched);
  }

  look(): void {
    for (const watched of this.#watched) {
      const why = lossOf(watched.credential, this.tenants) ?? watched.also();
      if (why === undefined) continue;
      this.#watched.delete(watched);
      watched.end(why);
    }
  }

  onApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}
