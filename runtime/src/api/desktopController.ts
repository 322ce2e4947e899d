/**
 * Makes desktop tickets, and describes the desktop's WebSocket for the API's description. The gateway handles the WebSocket
 * itself; see gateway/webSockets.ts.
 */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { withoutDesktop } from "../domain/session.ts";
import { isFinal, states } from "../domain/states/state.ts";
import { Activity } from "../store/activity.ts";
import { Grants } from "../store/grants.ts";
import { SessionCommands } from "../store/sessionCommands.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller, webSocketRights } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { defaultLifetimeSeconds, Tickets } from "./access/tickets.ts";
import { note } from "./grantsController.ts";
import { found, IdParams, jsonObject } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Body, Controller, Get, Param, Post, Query } from "./http/routes.ts";
import { Describe, notAnUpgrade, upgraded } from "./openApi.ts";
import { PUBLIC_URL } from "./tokens.ts";

const mode = z.enum(["interactive", "view"], "must be interactive or view");

const TicketBody = jsonObject({
  mode: mode.default("interactive").meta({ description: "Whether the ticket allows control or only watching." }),
  lifetimeSeconds: z
    .int("must be a whole number of seconds")
    .min(10, "must be at least 10")
    .max(3_600, "must be at most 3600")
    .default(defaultLifetimeSeconds)
    .meta({
      description:
        "For how many seconds the ticket opens the desktop. A desktop in mode view ends with its ticket; an interactive one stays open as long as the key that made the ticket is valid.",
    }),
})
  .prefault({})
  .meta({ id: "NewTicket" });
type TicketBody = z.infer<typeof TicketBody>;

const TicketJson = z
  .object({
    id: z.uuid().meta({ description: "The id by which the ticket is listed and revoked." }),
    ticket: z.string(),
    mode,
    expiresAt: z.iso.datetime(),
    url: z.url().meta({ description: "The address of the desktop's page, which contains the ticket." }),
  })
  .meta({ id: "Ticket" });

const DesktopQuery = z.strictObject({
  ticket: z.string().optional().meta({ description: "A desktop ticket, in place of a key." }),
  mode: mode.optional().meta({ description: "The mode, if a key is used. Default: interactive." }),
});

@Controller("v1/sessions/:id")
export class DesktopController {
  constructor(
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(SessionCommands) private readonly commands: SessionCommands,
    @Inject(Activity) private readonly activity: Activity,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(PUBLIC_URL) private readonly publicUrl: string,
  ) {}

  @Post("desktop-tickets")
  @UseGuards(CallerGuard)
  @Allow("desktop")
  @Describe({
    summary: "Make a link to the desktop that is valid for minutes; everybody who has the link may open it",
    answers: { 201: { description: "The ticket.", json: TicketJson } },
    refusals: { 409: "The session has ended or has no desktop." },
  })
  async createDesktopTicket(
    @Caller() { tenant, credential, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: TicketBody }) { mode, lifetimeSeconds }: TicketBody,
  ): Promise<z.infer<typeof TicketJson>> {
    const session = found(await this.queries.find(id, tenant.name), id);
    if (isFinal(session.state)) throw new Problem(409, `The session is ${session.state}, so its desktop is gone.`);
    if (!session.desktop) throw new Problem(409, withoutDesktop(session));
    this.activity.touch(id);
    const permission = { sessionId: id, tenant: tenant.name, mode };
    const issued = await this.tickets.issue(permission, credential, lifetimeSeconds);
    const { ticket, expiresAt } = issued;
    await note(this.grants, { ...issued, sessionId: id, kind: "desktop", access: mode, path: null, madeBy: actor });
    // The ticket is recorded before the caller gets it. The audit trail contains the ticket's id, not the ticket.
    const what = `makes the ticket ${issued.id} to ${mode === "view" ? "watch" : "control"} the desktop`;
    await this.commands.noteUse(id, tenant.name, "ticket", what, actor, states);
    const url = `${this.publicUrl}/desktop/${id}#ticket=${ticket}`;
    return { id: issued.id, ticket, mode, expiresAt: expiresAt.toISOString(), url };
  }

  @Get("desktop")
  @Allow(...webSocketRights.desktop)
  @Describe({
    summary: "The desktop as a WebSocket (RFB, subprotocol `binary`)",
    answers: upgraded(
      "The desktop. Close codes: 1012 connect again, 4400 not understood, 4401 the key or link is no longer valid, 4403 a user closed the connection through the API, 4404 the session has no desktop, 4409 the session is not running, but has not ended, 4410 the session has ended, 4429 too much (a browser gets it in place of the status 429), 4502 the desktop is not reachable.",
    ),
    refusals: notAnUpgrade,
  })
  openDesktop(
    @Param({ schema: IdParams }) _params: IdParams,
    @Query({ schema: DesktopQuery }) _query: z.infer<typeof DesktopQuery>,
  ): never {
    throw new Problem(426, "The desktop is a WebSocket: connect with an Upgrade.");
  }
}
