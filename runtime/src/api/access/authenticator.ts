/** Finds out who shows a token: a tenant's or the admin's key, an identity provider's token, or a desktop ticket. */

import type { TenantsFile } from "../../config/tenantsFile.ts";
import type { Tenant } from "../../domain/tenants.ts";
import type { Grants } from "../../store/grants.ts";
import { Problem } from "../http/problem.ts";
import type { CallerInfo } from "./caller.ts";
import { keyCredential, lossOf } from "./credential.ts";
import type { FileLink, FileLinks } from "./fileLinks.ts";
import type { Oidc } from "./oidc.ts";
import type { RateLimit } from "./rateLimit.ts";
import type { Ticket, Tickets } from "./tickets.ts";

export class Authenticator {
  constructor(
    private readonly tenants: Pick<TenantsFile, "get" | "findKeyHolder">,
    private readonly tickets: Pick<Tickets, "verify">,
    /** Undefined where the stack has no identity provider. */
    private readonly oidc?: Pick<Oidc, "verify"> | undefined,
    /** Counts what is wrong by address. Default: nobody does. */
    private readonly wrong?: Pick<RateLimit, "takeWrong"> | undefined,
    /** Undefined where no links to files are made. */
    private readonly links?: Pick<FileLinks, "verify"> | undefined,
    /** Knows which tickets and links were revoked. Undefined: none can be. */
    private readonly grants?: Pick<Grants, "isGood"> | undefined,
  ) {}

  /**
   * The caller, for the audit trail with its `address`. With a `sessionId`, that session's desktop ticket is a token too:
   * it may read. Throws a Problem: 401 if the token is nobody's, 403 if its tenant is unknown, 503 if the identity provider
   * can't be asked, 429 if too many wrong ones came from the address.
   */
  async identify(
    token: string | undefined,
    { address, sessionId }: { address: string | undefined; sessionId?: string | undefined },
  ): Promise<CallerInfo> {
    const identify = () => this.#identify(token, { address, sessionId });
    return token === undefined ? identify() : this.#counted(address, identify);
  }

  /** Counts the refusals by 401. */
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
    if (token === undefined) throw new Problem(401, "A key is needed: Authorization: Bearer <key>.");
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

  /** The session's desktop ticket, and its tenant. Throws a 401 if it is none, has expired, or was made by a key that is not good any more. */
  identifyTicket(
    token: string,
    { address, sessionId }: { address: string | undefined; sessionId: string },
  ): Promise<{ ticket: Ticket; tenant: Tenant }> {
    return this.#counted(address, async () => {
      const found = await this.#ticket(token, sessionId);
      if (found === undefined) throw new Problem(401, "The ticket is not valid, or has expired. Ask for a new one.");
      return found;
    });
  }

  /** The link to a file, and its tenant. Throws a 401 if it is none, has expired, or was made by a key that is not good any more. */
  identifyLink(text: string, address: string | undefined): Promise<{ link: FileLink; tenant: Tenant }> {
    return this.#counted(address, async () => {
      const link = await this.links?.verify(text);
      const tenant = link && this.tenants.get(link.tenant);
      if (link === undefined || tenant === undefined || !(await this.#isGood(link))) {
        throw new Problem(401, "The link is not valid, or has expired. Ask for a new one.");
      }
      return { link, tenant };
    });
  }

  async #ticket(token: string, sessionId: string): Promise<{ ticket: Ticket; tenant: Tenant } | undefined> {
    const ticket = await this.tickets.verify(token);
    if (ticket === undefined || ticket.sessionId !== sessionId.toLowerCase()) return undefined;
    const tenant = this.tenants.get(ticket.tenant);
    if (tenant === undefined || !(await this.#isGood(ticket))) return undefined;
    return { ticket, tenant };
  }

  /** Whether nobody has revoked it, or taken away the key that it was made with. */
  async #isGood(granted: Ticket | FileLink): Promise<boolean> {
    if (lossOf(granted.credential, this.tenants) !== undefined) return false;
    return !granted.noted || this.grants === undefined || this.grants.isGood(granted.id);
  }
}

/** The id by which what the ticket or link opened ends when somebody revokes it. Of those that were not noted nobody can. */
export const grantOf = ({ id, noted }: Ticket | FileLink): string | undefined => (noted ? id : undefined);
