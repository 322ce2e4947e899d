/** Decides who may access a session's port: with a key, with a port's token, or with the cookie that a link has set. */
import type { IncomingHttpHeaders } from "node:http";
import type { Access } from "../../api/access/access.ts";
import type { TenantCaller } from "../../api/access/caller.ts";
import type { PortPermission, PortTokens } from "../../api/access/portTokens.ts";
import { Problem } from "../../api/http/problem.ts";
import type { SandboxUrl, SessionPort } from "../../domain/sandboxUrl.ts";
import type { UsedLinks } from "../../queue/usedLinks.ts";
import { within } from "../../timing/within.ts";
import { cookieName, cookiesOf, mayUseCookie, tokenHeader } from "./headers.ts";

/**
 * How many cookies with our name are checked at most. Pages on other hosts of the same parent domain may have set any number of
 * such cookies.
 */
const maxCheckedCookies = 5;

export interface PortRequest {
  method: string;
  headers: IncomingHttpHeaders;
  address: string | undefined;
}

/**
 * An authorized caller. If the access has ended although the credential is still valid, `loss` returns the reason, a text for
 * the user. Otherwise `loss` returns undefined.
 */
export interface Entrant {
  caller: TenantCaller;
  loss: () => string | undefined;
}

export interface PortAccessOptions {
  url: SandboxUrl;
  access: Pick<Access, "admitToPort" | "admitPermission">;
  tokens: Pick<PortTokens, "verify">;
  usedLinks: Pick<UsedLinks, "use">;
  /** How long to wait for Redis to say whether a link was used already, in milliseconds. Default 1000. */
  patienceMs?: number | undefined;
}

export class PortAccess {
  constructor(private readonly options: PortAccessOptions) {}

  /**
   * Throws a Problem: 400 if the header Authorization contains a key of Berth, which the program would see; 401 if the caller
   * is unknown; 403 if the key lacks the scope `write`, or if a page of another origin does more with the port's cookie than
   * follow a link to the port.
   */
  async admit(sessionPort: SessionPort, { method, headers, address }: PortRequest): Promise<Entrant> {
    const { access, url } = this.options;
    if (/\bberth_[a-z0-9-]+_/.test(headers.authorization ?? "")) {
      throw new Problem(
        400,
        `The header authorization is for the program, and the program would see Berth's key. Send the key as ${tokenHeader}.`,
      );
    }
    const shown = headers[tokenHeader];
    if (typeof shown === "string") {
      const permission = await this.options.tokens.verify("token", shown, sessionPort);
      if (permission !== undefined) return this.#entrant(permission, address);
      return { caller: await access.admitToPort(shown, address), loss: () => undefined };
    }
    const cookies = cookiesOf(headers.cookie, cookieName(url)).slice(0, maxCheckedCookies);
    for (const cookie of cookies) {
      const permission = await this.options.tokens.verify("token", cookie, sessionPort);
      if (permission === undefined) continue;
      if (!mayUseCookie(method, headers, url.originOf(headers.host ?? ""))) {
        throw new Problem(403, "Only the port's own pages may use the cookie that the port's link has set.");
      }
      return this.#entrant(permission, address);
    }
    throw new Problem(401, cookies.length > 0 ? `${over} ${ask}` : `${needed} ${ask}`);
  }

  /**
   * Redeems a link's ticket, which works for one browser only. Throws a Problem: 401 if the ticket is not valid or was
   * redeemed before, 503 if Redis does not answer.
   */
  async takeTicket(
    sessionPort: SessionPort,
    ticket: string,
    address: string | undefined,
  ): Promise<PortPermission & Entrant> {
    const permission = await this.options.tokens.verify("ticket", ticket, sessionPort);
    if (permission === undefined) throw new Problem(401, `The link is not valid or has expired. ${ask}`);
    const entrant = await this.#entrant(permission, address);
    const { id, expiresAt } = permission;
    const { usedLinks, patienceMs = 1_000 } = this.options;
    const isFirst = await within(patienceMs, usedLinks.use(id, expiresAt)).catch(() => {
      throw new Problem(503, "The link can't be checked at the moment. Please try again.");
    });
    if (!isFirst) throw new Problem(401, `The link was used already; a link works for one browser only. ${ask}`);
    return { ...permission, ...entrant };
  }

  async #entrant(permission: PortPermission, address: string | undefined): Promise<Entrant> {
    const caller = await this.options.access.admitPermission(permission, address);
    const loss = () => (permission.expiresAt.getTime() <= Date.now() ? "The link has expired." : undefined);
    return { caller, loss };
  }
}

const needed = `To open a port of a session, use a link, or send a key or a port's token in the header ${tokenHeader}.`;
const over = "The link has expired or was revoked.";
const ask = "Make a new link: POST /v1/sessions/:id/ports/:port/links.";
