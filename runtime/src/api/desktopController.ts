/** What HTTP has to say about desktops and commands: tickets, and that the rest is WebSockets. */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import { withoutDesktop } from "../domain/session.ts";
import { isFinal, states } from "../domain/state.ts";
import { Activity } from "../store/activity.ts";
import { Grants } from "../store/grants.ts";
import { SessionCommands } from "../store/sessionCommands.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { defaultLifetimeSeconds, Tickets } from "./access/tickets.ts";
import { ExecQuery } from "./execQuery.ts";
import { note } from "./grantsController.ts";
import { found, IdParams } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Body, Controller, Get, Param, Post, Query } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { OutputQuery, ProcessParams } from "./processQuery.ts";
import { PUBLIC_URL } from "./tokens.ts";

const mode = z.enum(["interactive", "view"], "must be interactive or view");

const TicketBody = z
  .strictObject(
    {
      mode: mode.default("interactive").meta({ description: "To use the desktop, or only to look at it." }),
      lifetimeSeconds: z
        .int("must be a whole number of seconds")
        .min(10, "must be at least 10")
        .max(3_600, "must be at most 3600")
        .default(defaultLifetimeSeconds)
        .meta({
          description:
            "For how long the ticket opens the desktop. A view ends then; what an interactive ticket opened lasts as long as the key that made the ticket.",
        }),
    },
    { error: (issue) => (issue.code === "unrecognized_keys" ? undefined : "must be a JSON object") },
  )
  .prefault({})
  .meta({ id: "NewTicket" });
type TicketBody = z.infer<typeof TicketBody>;

const TicketJson = z
  .object({
    id: z.uuid().meta({ description: "By which it is listed and revoked." }),
    ticket: z.string(),
    mode,
    expiresAt: z.iso.datetime(),
    url: z.url().meta({ description: "The desktop's page with the ticket in it, to be opened or handed on." }),
  })
  .meta({ id: "Ticket" });

const DesktopQuery = z.strictObject({
  ticket: z.string().optional().meta({ description: "A desktop ticket, in place of a key." }),
  mode: mode.optional().meta({ description: "With a key: default interactive." }),
});

const upgraded = (what: string) => ({ 101: { description: what } });
const notAnUpgrade = { 426: "This is a WebSocket." };

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
    summary: "A link to the desktop that is good for minutes; whoever has it may open it",
    answers: { 201: { description: "The ticket.", json: TicketJson } },
    refusals: { 409: "The session is over, or has no desktop." },
  })
  async createDesktopTicket(
    @Caller() { tenant, credential, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: TicketBody }) { mode, lifetimeSeconds }: TicketBody,
  ): Promise<z.infer<typeof TicketJson>> {
    const session = found(await this.queries.find(id, tenant.name), id);
    if (isFinal(session.state)) throw new Problem(409, `The session is ${session.state}; its desktop is gone.`);
    if (!session.desktop) throw new Problem(409, withoutDesktop(session));
    this.activity.touch(id);
    const permission = { sessionId: id, tenant: tenant.name, mode };
    const issued = await this.tickets.issue(permission, credential, lifetimeSeconds);
    const { ticket, expiresAt } = issued;
    await note(this.grants, { ...issued, sessionId: id, kind: "desktop", access: mode, path: null, madeBy: actor });
    // On record before anybody has it: what is done by it is on record by its id.
    const what = `makes the ticket ${issued.id} to ${mode === "view" ? "look at" : "use"} the desktop`;
    await this.commands.noteUse(id, tenant.name, "ticket", what, actor, states);
    const url = `${this.publicUrl}/desktop/${id}#ticket=${ticket}`;
    return { id: issued.id, ticket, mode, expiresAt: expiresAt.toISOString(), url };
  }

  @Get("desktop")
  @Allow("desktop")
  @Describe({
    summary: "The desktop as a WebSocket (RFB, subprotocol `binary`)",
    answers: upgraded(
      "The desktop. Close codes: 1012 connect again, 4400 not understood, 4401 the key or link has ended, 4403 somebody closed it by the API, 4404 the session has no desktop, 4409 not running yet, 4410 over, 4429 too much (a browser also gets it in place of 429), 4502 not reachable.",
    ),
    refusals: notAnUpgrade,
  })
  openDesktop(
    @Param({ schema: IdParams }) _params: IdParams,
    @Query({ schema: DesktopQuery }) _query: z.infer<typeof DesktopQuery>,
  ): never {
    throw new Problem(426, "The desktop is a WebSocket: connect with an Upgrade.");
  }

  @Get("processes/:process/attach")
  @Allow("write")
  @Describe({
    summary: "A program's output from a position on, its input and its terminal, as a WebSocket",
    answers: upgraded(
      "The program, see docs/commands-and-files.md. Close codes: 1000 it has ended, 1012 attach again, 4400 not understood, 4401 the key has ended, 4403 somebody closed it by the API, 4429 too many (a browser gets it in place of 429), 4502 the pod was lost.",
    ),
    refusals: { ...notAnUpgrade, 409: "The session is not running." },
  })
  attachToProcess(
    @Param({ schema: ProcessParams }) _params: ProcessParams,
    @Query({ schema: OutputQuery }) _query: OutputQuery,
  ): never {
    throw new Problem(426, "A program is a WebSocket here: connect with an Upgrade.");
  }

  @Get("exec")
  @Allow("write")
  @Describe({
    summary:
      "Run a command in the agent's container, as a WebSocket (v5.channel.k8s.io), where the tenant's config allows it",
    answers: upgraded(
      "The command: the first byte of each message says what it is, as in Kubernetes' own protocol. Close codes: 1012 the API restarts, 4400 not understood, 4401 the key has ended, 4403 somebody closed it by the API, 4429 too many (a browser gets it in place of 429), 4502 the pod was lost.",
    ),
    refusals: { ...notAnUpgrade, 409: "The session is not running, or its pod is of a version without this service." },
  })
  runCommand(
    @Param({ schema: IdParams }) _params: IdParams,
    @Query({ schema: ExecQuery }) _query: z.infer<typeof ExecQuery>,
  ): never {
    throw new Problem(426, "A command is a WebSocket: connect with an Upgrade.");
  }
}
