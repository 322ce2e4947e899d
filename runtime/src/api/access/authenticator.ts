/**
 * Identifies the owner of a key (of a tenant or the admin), an identity provider's token, a desktop ticket, or a link
 * to a file or port.
 */

import type { TenantsFile } from "../../config/tenantsFile.ts";
import type { Tenant } from "../../domain/tenants.ts";
import type { Grants } from "../../store/grants.ts";
import { Recent } from "../../timing/recent.ts";
import { Problem } from "../http/problem.ts";
import type { CallerInfo } from "./caller.ts";
import { keyCredential, lossOf } from "./credential.ts";
import type { FileLink, FileLinks } from "./fileLinks.ts";
import type { Oidc } from "./oidc.ts";
import type { PortPermission } from "./portTokens.ts";
import type { RateLimit } from "./rateLimit.ts";
import type { Ticket, Tickets } from "./tickets.ts";

export class Authenticator {
  /**
   * Whether a link to a port is stored and not revoked. A browser requests each part of a page with the link's
   * token, so the answer is kept for a second. Postgres is then asked at most once a second for each link.
   */
  readonly #goodPortLinks = new Recent(async (id) => (await this.grants?.isGood(id)) ?? true);

  constructor(
    private readonly tenants: Pick<TenantsFile, "get" | "findKeyHolder">,
    private readonly tickets: Pick<Tickets, "verify">,
    /** Verifies tokens of the identity provider. Undefined: the stack has no identity provider. */
    private readonly oidc?: Pick<Oidc, "verify"> | undefined,
    /** Counts wrong keys, tokens, tickets and file links by address. Default: they are not counted. */
    private readonly wrong?: Pick<RateLimit, "takeWrong"> | undefined,
    /** Verifies links to files. Undefined: this process answers no requests that come with a link to a file. */
    private readonly links?: Pick<FileLinks, "verify"> | undefined,
    /** Knows which tickets and links were revoked. Undefined: no ticket or link counts as revoked. */
    private readonly grants?: Pick<Grants, "isGood"> | undefined,
  ) {}

  /**
   * Returns the caller, whose `actor` contains the `address` for the audit trail. If `sessionId` is given, a desktop ticket
   * of that session is accepted too, with the right to read. Throws a Problem: 401 if the token is not valid, 403 if its
   * tenant does not exist, 503 if the identity provider does not answer, 429 if too many wrong tokens came from the
   * address.
   */
  async identify(
    token: string | undefined,
    { address, sessionId }: { address: string | undefined; sessionId?: string | undefined },
  ): Promise<CallerInfo> {
    const identify = () => this.#identify(token, { address, sessionId });
    return token === undefined ? identify() : this.#counted(address, identify);
  }

  /** If `identify` throws a 401, counts the 401 for the address. If there are too many, throws a 429 in its place. */
  async #counted<T>(address: string | undefined, identify: () => Promise<T>): Promise<T> {
    try {
      return await identify();
    } catch (error) {
      if (error instanceof Problem && error.body.status === 401 && address !== undefined) {
        (await this.wrong?.takeWrong(address))?.refuse();
      }
      throw error;
    }
  }

  async #identify(
    token: string | undefined,
    { address, sessionId }: { address: string | undefined; sessionId?: string | undefined },
  ): Promise<CallerInfo> {
    if (token === undefined) throw new Problem(401, "The request needs a key: Authorization: Bearer <key>.");
    const actor = (name: string) => ({ name, ...(address !== undefined && { address }) });

    if (token.startsWith("berth_")) {
      const holder = this.tenants.findKeyHolder(token);
      if (holder === undefined) throw new Problem(401, "The key is not valid.");
      if (holder.expired) throw new Problem(401, `The key ${holder.key} has expired. Ask for a new one.`);
      if (holder.role === "admin") return { role: "admin", actor: actor(`admin:${holder.key}`) };
      const { tenant, scopes, key } = holder;
      const credential = keyCredential(tenant.name, key, token, scopes);
      return { role: "tenant", tenant, scopes, actor: actor(`key:${key}`), credential };
    }
    if (sessionId !== undefined) {
      const found = await this.#ticket(token, sessionId);
      if (found !== undefined) {
        const { tenant, ticket } = found;
        const { credential } = ticket;
        const name = `ticket:${ticket.sessionId}`;
        return { role: "tenant", tenant, scopes: ["read"], actor: actor(name), credential, grant: grantOf(ticket) };
      }
    }
    const identity = await this.oidc?.verify(token);
    if (identity === undefined) throw new Problem(401, "The key is not valid.");
    const tenant = this.tenants.get(identity.tenant);
    if (tenant === undefined) throw new Problem(403, `There is no tenant ${JSON.stringify(identity.tenant)}.`);
    const { scopes, expiresAt } = identity;
    const credential = { is: "token", tenant: tenant.name, expiresAt } as const;
    return { role: "tenant", tenant, scopes, actor: actor(`oidc:${identity.subject}`), credential };
  }

  /**
   * The session's desktop ticket and its tenant. Throws a 401 if the ticket is invalid, has expired or was revoked, or if
   * its `credential` is no longer valid; a 429 if too many wrong tickets came from the address.
   */
  identifyTicket(
    token: string,
    { address, sessionId }: { address: string | undefined; sessionId: string },
  ): Promise<{ ticket: Ticket; tenant: Tenant }> {
    return this.#counted(address, async () => {
      const found = await this.#ticket(token, sessionId);
      if (found === undefined) throw new Problem(401, "The ticket is not valid or has expired. Ask for a new one.");
      return found;
    });
  }

  /**
   * The link to a file and its tenant. Throws a 401 if the link is invalid, has expired or was revoked, or if its
   * `credential` is no longer valid; a 429 if too many wrong links came from the address.
   */
  identifyLink(text: string, address: string | undefined): Promise<{ link: FileLink; tenant: Tenant }> {
    return this.#counted(address, async () => {
      const link = await this.links?.verify(text);
      const tenant = link && this.tenants.get(link.tenant);
      if (link === undefined || tenant === undefined || !(await this.#isGood(link))) {
        throw new Problem(401, "The link is not valid or has expired. Ask for a new one.");
      }
      return { link, tenant };
    });
  }

  /**
   * The tenant of a verified permission. Throws a 401 if the permission was revoked, or if the credential that made the
   * permission is no longer valid.
   */
  async holderOf({
    id,
    tenant: name,
    credential,
  }: Pick<PortPermission, "id" | "tenant" | "credential">): Promise<Tenant> {
    const tenant = this.tenants.get(name);
    const why =
      lossOf(credential, this.tenants) ?? (tenant === undefined ? `The tenant ${name} does not exist any more.` : "");
    if (tenant === undefined || why !== "") throw new Problem(401, `${why} Ask for a new link.`);
    if (!(await this.#goodPortLinks.get(id))) throw new Problem(401, "The link has been revoked. Ask for a new link.");
    return tenant;
  }

  async #ticket(token: string, sessionId: string): Promise<{ ticket: Ticket; tenant: Tenant } | undefined> {
    const ticket = await this.tickets.verify(token);
    if (ticket === undefined || ticket.sessionId !== sessionId.toLowerCase()) return undefined;
    const tenant = this.tenants.get(ticket.tenant);
    if (tenant === undefined || !(await this.#isGood(ticket))) return undefined;
    return { ticket, tenant };
  }

  /** Whether the ticket or link was not revoked, and its `credential` is still valid. */
  async #isGood(granted: Ticket | FileLink): Promise<boolean> {
    if (lossOf(granted.credential, this.tenants) !== undefined) return false;
    return !granted.noted || this.grants === undefined || this.grants.isGood(granted.id);
  }
}

/**
 * The id by which a ticket or link can be revoked. Undefined if it has no stored grant, and so can't be revoked.
 */
export const grantOf = ({ id, noted }: Ticket | FileLink): string | undefined => (noted ? id : undefined);
