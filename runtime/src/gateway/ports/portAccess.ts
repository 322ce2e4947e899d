/** Who may speak to a session's port: by a key, a port's token, or the cookie that a link gave. */
import type { IncomingHttpHeaders } from "node:http";
import type { Redis } from "ioredis";
import type { Access } from "../../api/access/access.ts";
import type { TenantCaller } from "../../api/access/caller.ts";
import type { PortPermission, PortTokens } from "../../api/access/portTokens.ts";
import { Problem } from "../../api/http/problem.ts";
import type { PortPlace, SandboxUrl } from "../../domain/sandboxUrl.ts";
import { within } from "../../timing/within.ts";
import { cookieName, cookiesOf, mayUseCookie, tokenHeader } from "./headers.ts";

/** Cookies of our name that are looked at: pages elsewhere on the site may have set some. */
const cookiesLookedAt = 5;

/** How long Redis may take to say whether a link was used, in milliseconds. */
const patienceMs = 1_000;

export interface Shown {
  method: string;
  headers: IncomingHttpHeaders;
  address: string | undefined;
}

/** Who was let in. `loss` says from some time on why it is over, beside the credential's own end. */
export interface Entrant {
  caller: TenantCaller;
  loss: () => string | undefined;
}

export interface PortAccessOptions {
  url: SandboxUrl;
  access: Pick<Access, "admitToPort" | "admitPermission">;
  tokens: Pick<PortTokens, "verify">;
  redis: Pick<Redis, "set">;
}

export class PortAccess {
  constructor(private readonly options: PortAccessOptions) {}

  /** Throws a Problem: 400 the key is where the session would see it, 401 nobody knows who it is, 403 it lacks the right. */
  async admit(place: PortPlace, { method, headers, address }: Shown): Promise<Entrant> {
    const { access, url } = this.options;
    if (/\bberth_[a-z0-9-]+_/.test(headers.authorization ?? "")) {
      throw new Problem(
        400,
        `authorization must be the program's own: the session would get Berth's key. Send the key as ${tokenHeader}.`,
      );
    }
    const shown = headers[tokenHeader];
    if (typeof shown === "string") {
      const permission = await this.options.tokens.verify("token", shown, place);
      if (permission !== undefined) return this.#entrant(permission, address);
      return { caller: await access.admitToPort(shown, address), loss: () => undefined };
    }
    const cookies = cookiesOf(headers.cookie, cookieName(url)).slice(0, cookiesLookedAt);
    for (const cookie of cookies) {
      const permission = await this.options.tokens.verify("token", cookie, place);
      if (permission === undefined) continue;
      if (!mayUseCookie(method, headers, url.originOf(headers.host ?? ""))) {
        throw new Problem(403, "Only the port's own pages may use what its link has opened.");
      }
      return this.#entrant(permission, address);
    }
    throw new Problem(401, cookies.length > 0 ? `${over} ${ask}` : `${needed} ${ask}`);
  }

  /** Takes a link's ticket, which is good for one browser. Throws a Problem: 401 it is no good, 503 nobody can say. */
  async takeTicket(place: PortPlace, ticket: string, address: string | undefined): Promise<PortPermission & Entrant> {
    const permission = await this.options.tokens.verify("ticket", ticket, place);
    if (permission === undefined) throw new Problem(401, `The link is not valid, or has expired. ${ask}`);
    const entrant = this.#entrant(permission, address);
    const seconds = Math.max(1, Math.ceil((permission.expiresAt.getTime() - Date.now()) / 1000));
    const first = await within(
      patienceMs,
      this.options.redis.set(`port-link:${permission.id}`, "1", "EX", seconds, "NX"),
    ).catch(() => {
      throw new Problem(503, "Whether the link was used can't be looked up at the moment. Please try again.");
    });
    if (first === null) throw new Problem(401, `The link was used already; it is good for one browser. ${ask}`);
    return { ...permission, ...entrant };
  }

  #entrant(permission: PortPermission, address: string | undefined): Entrant {
    const caller = this.options.access.admitPermission(permission, address);
    const loss = () => (permission.expiresAt.getTime() <= Date.now() ? "The link has expired." : undefined);
    return { caller, loss };
  }
}

const needed = `A port of a session is opened by a link, or by a key or a port's token in the header ${tokenHeader}.`;
const over = "The link has expired, or was taken back.";
const ask = "Ask for a new one: POST /v1/sessions/:id/ports/:port/links.";
