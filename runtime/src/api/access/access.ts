/** Who may do what: every way in from outside, by HTTP or WebSocket, asks here, and nowhere else is it decided. */
import type { Scope, Tenant } from "../../domain/tenants.ts";
import { Problem } from "../http/problem.ts";
import { type Authenticator, grantOf } from "./authenticator.ts";
import { bearer, type CallerInfo, type Right, type TenantCaller } from "./caller.ts";
import type { FileLink } from "./fileLinks.ts";
import type { Rate, RateLimit } from "./rateLimit.ts";
import type { Ticket } from "./tickets.ts";

/** What a request shows of who makes it. */
export interface Shown {
  /** The header of that name. */
  authorization: string | undefined;
  /** Undefined if it is not known. */
  address: string | undefined;
}

/** Called as soon as the caller is known, and before it is refused for what it may not do. */
export type Known = (caller: CallerInfo, rate: Rate["headers"] | undefined) => void;

export class Access {
  constructor(
    private readonly authenticator: Pick<Authenticator, "identify" | "identifyTicket" | "identifyLink">,
    private readonly rateLimit: Pick<RateLimit, "take" | "takeTicket">,
  ) {}

  /**
   * The caller, if it has one of the rights and is within its rate. With `ticketsOf`, the id of a session, a desktop ticket of
   * that session may read. Throws a Problem: 401 the key or token is nobody's, 403 it lacks the right, 429 too many calls,
   * 503 the identity provider can't be asked.
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

  /** The ticket of the session's desktop and its tenant. Throws a Problem: 401 it is no good, 429 too many calls with it. */
  async admitTicket(
    text: string,
    { address, sessionId }: { address: string | undefined; sessionId: string },
  ): Promise<{ ticket: Ticket; tenant: Tenant }> {
    const found = await this.authenticator.identifyTicket(text, { address, sessionId });
    (await this.rateLimit.takeTicket(found.ticket.id))?.refuse();
    return found;
  }

  /** The link to a file, and who uses it. Throws a Problem: 401 it is no good, 429 too many calls with it. */
  async admitLink(text: string, address: string | undefined): Promise<{ link: FileLink; caller: TenantCaller }> {
    const { link, tenant } = await this.authenticator.identifyLink(text, address);
    (await this.rateLimit.takeTicket(link.id))?.refuse();
    const actor = { name: `link:${link.id}`, ...(address !== undefined && { address }) };
    const { credential } = link;
    return { link, caller: { role: "tenant", tenant, scopes: [], actor, credential, grant: grantOf(link) } };
  }
}

/** The caller, if it has one of the rights; otherwise throws a 403. */
function authorize(caller: CallerInfo, allowed: readonly Scope[]): TenantCaller;
function authorize(caller: CallerInfo, allowed: readonly Right[]): CallerInfo;
function authorize(caller: CallerInfo, allowed: readonly Right[]): CallerInfo {
  const has: readonly Right[] = caller.role === "admin" ? ["admin"] : caller.scopes;
  if (allowed.some((right) => has.includes(right))) return caller;
  if (caller.role === "admin") throw new Problem(403, "The admin's key has no sessions: use a key of the tenant.");
  const needed = allowed.filter((right) => right !== "admin");
  throw new Problem(
    403,
    needed.length > 0 ? `This key lacks the scope ${needed.join(" or ")}.` : "Only the admin's key may do this.",
  );
}
