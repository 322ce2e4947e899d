/**
 * Decides who may do what. The code that takes HTTP requests and WebSockets from outside asks this class, and no other
 * code makes this decision. Whose data an admitted caller sees is decided in visibleTenant.ts.
 */
import type { Scope, Tenant } from "../../domain/tenants.ts";
import { Problem } from "../http/problem.ts";
import { type Authenticator, grantOf } from "./authenticator.ts";
import { bearer, type CallerInfo, type Right, type TenantCaller } from "./caller.ts";
import type { FileLink } from "./fileLinks.ts";
import type { PortPermission } from "./portTokens.ts";
import type { Rate, RateLimit } from "./rateLimit.ts";
import type { Ticket } from "./tickets.ts";

/** What a request says about its caller. */
export interface Shown {
  /** The value of the Authorization header. */
  authorization: string | undefined;
  /** The caller's IP address; undefined if it is not known. */
  address: string | undefined;
}

/** Called as soon as the caller is identified, even if the request is then refused, for example for a lack of rights. */
export type Known = (caller: CallerInfo, rate: Rate["headers"] | undefined) => void;

export class Access {
  constructor(
    private readonly authenticator: Pick<Authenticator, "identify" | "identifyTicket" | "identifyLink" | "holderOf">,
    private readonly rateLimit: Pick<RateLimit, "take" | "takeTicket">,
  ) {}

  /**
   * The caller, if it has one of the allowed rights and is within its rate limit. If `ticketsOf`, a session's id, is
   * given, a desktop ticket of that session is accepted too, with the right to read. Throws a Problem: 401 if the key or
   * token is not valid, 403 if the caller lacks the right or the token's tenant does not exist, 429 after too many calls or
   * too many wrong keys from the address, 503 if the identity provider does not answer.
   */
  async admit(shown: Shown, allowed: readonly Scope[], ticketsOf?: string, known?: Known): Promise<TenantCaller>;
  async admit(shown: Shown, allowed: readonly Right[], ticketsOf?: string, known?: Known): Promise<CallerInfo>;
  async admit(
    { authorization, address }: Shown,
    allowed: readonly Right[],
    ticketsOf?: string,
    known: Known = () => {},
  ): Promise<CallerInfo> {
    const caller = await this.authenticator.identify(bearer(authorization), { address, sessionId: ticketsOf });
    const rate = await this.rateLimit.take(caller);
    known(caller, rate?.headers);
    rate?.refuse();
    return authorize(caller, allowed);
  }

  /**
   * The session's desktop ticket, and the tenant that it belongs to. Throws a Problem: 401 if the ticket is not valid,
   * 429 after too many calls with the ticket or too many wrong tickets from the address.
   */
  async admitTicket(
    text: string,
    { address, sessionId }: { address: string | undefined; sessionId: string },
  ): Promise<{ ticket: Ticket; tenant: Tenant }> {
    const found = await this.authenticator.identifyTicket(text, { address, sessionId });
    (await this.rateLimit.takeTicket(found.ticket.id))?.refuse();
    return found;
  }

  /**
   * The link to a file, and the caller for requests with the link. Throws a Problem: 401 if the link is not valid, 403 if the
   * link allows the other access only, 429 after too many calls with the link or too many wrong links from the address.
   */
  async admitLink(
    text: string,
    { address, access }: { address: string | undefined; access: FileLink["access"] },
  ): Promise<{ link: FileLink; caller: TenantCaller }> {
    const { link, tenant } = await this.authenticator.identifyLink(text, address);
    (await this.rateLimit.takeTicket(link.id))?.refuse();
    if (link.access !== access)
      throw new Problem(403, `The link allows to ${link.access} the file, not to ${access} it.`);
    const actor = { name: `link:${link.id}`, ...(address !== undefined && { address }) };
    const { credential } = link;
    return { link, caller: { role: "tenant", tenant, scopes: [], actor, credential, grant: grantOf(link) } };
  }

  /**
   * The owner of a key or token that was sent to a session's port. The gateway limits how often this is called. Throws a
   * Problem: 401 if the key or token is not valid, 403 if the owner lacks the right or the token's tenant does not exist,
   * 429 if too many wrong keys or tokens came from the address, 503 if the identity provider does not answer.
   */
  async admitToPort(token: string, address: string | undefined): Promise<TenantCaller> {
    return authorize(await this.authenticator.identify(token, { address }), ["write"]);
  }

  /**
   * The owner of a permission for a session's port. Throws a 401 if the permission was revoked, or if the key or token of the
   * user who made the permission is no longer valid.
   */
  async admitPermission(permission: PortPermission, address: string | undefined): Promise<TenantCaller> {
    const { id, credential } = permission;
    const tenant = await this.authenticator.holderOf(permission);
    const actor = { name: `link:${id}`, ...(address !== undefined && { address }) };
    return { role: "tenant", tenant, scopes: [], actor, credential, grant: id };
  }
}

/** Returns the caller if it has one of the rights. Otherwise throws a 403. */
function authorize(caller: CallerInfo, allowed: readonly Scope[]): TenantCaller;
function authorize(caller: CallerInfo, allowed: readonly Right[]): CallerInfo;
function authorize(caller: CallerInfo, allowed: readonly Right[]): CallerInfo {
  const has: readonly Right[] = caller.role === "admin" ? ["admin"] : caller.scopes;
  if (allowed.some((right) => has.includes(right))) return caller;
  if (caller.role === "admin") throw new Problem(403, "The admin's key has no sessions. Use a key of the tenant.");
  const needed = allowed.filter((right) => right !== "admin");
  throw new Problem(
    403,
    needed.length > 0 ? `This key lacks the scope ${needed.join(" or ")}.` : "Only the admin's key may do this.",
  );
}
