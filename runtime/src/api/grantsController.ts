/** Lists and revokes the valid desktop tickets, file links and port links of a session. */
import { HttpCode, Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { type Grant, type GrantKind, Grants, grantName, grantsOfSession, type NewGrant } from "../store/grants.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { found, IdParams } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Controller, Delete, Get, Param } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { Reads } from "./reads.ts";

const granted = {
  id: z.uuid(),
  madeBy: z.string().meta({ description: "Who made it, in the form of the audit trail." }),
  address: z.string().nullable().meta({ description: "The address of the client that made it." }),
  madeAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
};

const TicketsJson = z
  .object({
    items: z.array(z.object({ ...granted, mode: z.enum(["interactive", "view"]) }).meta({ id: "TicketInfo" })),
  })
  .meta({ id: "Tickets" });
type TicketsJson = z.infer<typeof TicketsJson>;

const LinksJson = z
  .object({
    items: z.array(
      z.object({ ...granted, path: z.string(), access: z.enum(["read", "write"]) }).meta({ id: "FileLinkInfo" }),
    ),
  })
  .meta({ id: "FileLinks" });
type LinksJson = z.infer<typeof LinksJson>;

const PortLinksJson = z
  .object({
    items: z.array(
      z
        .object({
          ...granted,
          port: z.int(),
          path: z.string().meta({ description: "Where in the program the link leads." }),
        })
        .meta({ id: "PortLinkInfo" }),
    ),
  })
  .meta({ id: "PortLinks" });
type PortLinksJson = z.infer<typeof PortLinksJson>;

const TicketParams = IdParams.extend({ ticket: z.guid("must be a ticket's id, a UUID").toLowerCase() });
const LinkParams = IdParams.extend({ link: z.guid("must be a link's id, a UUID").toLowerCase() });

const revoked = {
  204: { description: "It is no longer accepted. The connections that it opened are closed within a second." },
};

@Controller("v1/sessions/:id")
@UseGuards(CallerGuard)
export class GrantsController {
  constructor(
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(Reads) private readonly reads: Reads,
  ) {}

  @Get("desktop-tickets")
  @Allow("read")
  @Describe({
    summary: "List the session's valid tickets, newest first",
    answers: { 200: { description: "At most 1000, without the tickets themselves.", json: TicketsJson } },
  })
  async listDesktopTickets(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<TicketsJson> {
    const grants = await this.#list(id, caller, "desktop");
    return { items: grants.map((one) => ({ ...grantJson(one), mode: one.access as "interactive" | "view" })) };
  }

  @Delete("desktop-tickets/:ticket")
  @HttpCode(204)
  @Allow("desktop", "write")
  @Describe({ summary: "Revoke a ticket, and close the desktops that it opened", answers: revoked })
  revokeDesktopTicket(
    @Caller() caller: TenantCaller,
    @Param({ schema: TicketParams }) { id, ticket }: z.infer<typeof TicketParams>,
  ): Promise<void> {
    return this.#revoke(id, caller, "desktop", ticket);
  }

  @Get("files/links")
  @Allow("read")
  @Describe({
    summary: "List the valid links to the session's files, newest first",
    answers: { 200: { description: "At most 1000, without the links themselves.", json: LinksJson } },
  })
  async listFileLinks(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<LinksJson> {
    const grants = await this.#list(id, caller, "file");
    return {
      items: grants.map((one) => ({
        ...grantJson(one),
        path: one.path ?? "",
        access: one.access as "read" | "write",
      })),
    };
  }

  @Delete("files/links/:link")
  @HttpCode(204)
  @Allow("write")
  @Describe({ summary: "Revoke a link to a file, and end the transfers that use it", answers: revoked })
  revokeFileLink(
    @Caller() caller: TenantCaller,
    @Param({ schema: LinkParams }) { id, link }: z.infer<typeof LinkParams>,
  ): Promise<void> {
    return this.#revoke(id, caller, "file", link);
  }

  @Get("ports/links")
  @Allow("read")
  @Describe({
    summary: "List the valid links to the session's ports, newest first",
    answers: { 200: { description: "At most 1000, without the links and tokens themselves.", json: PortLinksJson } },
  })
  async listPortLinks(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<PortLinksJson> {
    const grants = await this.#list(id, caller, "port");
    return { items: grants.map((one) => ({ ...grantJson(one), port: one.port ?? 0, path: one.path ?? "/" })) };
  }

  @Delete("ports/links/:link")
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary: "Revoke a link to a port and its token, and end the requests and WebSockets that were opened with them",
    answers: { 204: { description: "The link and its token are refused within a second; their connections end." } },
  })
  revokePortLink(
    @Caller() caller: TenantCaller,
    @Param({ schema: LinkParams }) { id, link }: z.infer<typeof LinkParams>,
  ): Promise<void> {
    return this.#revoke(id, caller, "port", link);
  }

  async #list(id: string, caller: TenantCaller, kind: GrantKind): Promise<Grant[]> {
    found(await this.queries.find(id, caller.tenant.name), id);
    const what = kind === "desktop" ? "lists the tickets" : `lists the links to ${kind}s`;
    await this.reads.note(id, caller, kind === "desktop" ? "ticket" : kind, what);
    return this.grants.list(id, kind);
  }

  async #revoke(id: string, { tenant, actor }: TenantCaller, kind: GrantKind, grant: string): Promise<void> {
    found(await this.queries.find(id, tenant.name), id);
    const done = await this.grants.revoke(grant, kind, { sessionId: id, tenant: tenant.name }, actor);
    if (!done) throw new Problem(404, `The session has no valid ${grantName(kind)} ${grant}.`);
  }
}

const grantJson = ({ id, madeBy, address, madeAt, expiresAt }: Grant) => ({
  id,
  madeBy,
  address,
  madeAt: madeAt.toISOString(),
  expiresAt: expiresAt.toISOString(),
});

/**
 * Stores a new grant. Must be called before a user gets the ticket or link. Throws a 429 if the session has too many tickets
 * and links.
 */
export async function note(grants: Grants, grant: NewGrant): Promise<void> {
  if (await grants.add(grant)) return;
  const why = `The session has ${grantsOfSession} tickets and links. Wait until some have expired for some minutes.`;
  throw new Problem(429, why, undefined, 60);
}
