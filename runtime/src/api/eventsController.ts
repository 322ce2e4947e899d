/**
 * Sends events as they happen, as Server-Sent Events. A client that was disconnected sends the id of its last event in
 * Last-Event-ID, and gets the events after that event.
 */
import { Inject, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { EventJson } from "../domain/event.ts";
import { isFinal } from "../domain/states/state.ts";
import { AuditTrail } from "../store/auditTrail.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { EventFeed } from "./eventFeed.ts";
import { found, IdParams, YesOrNo } from "./http/input.ts";
import { Controller, Get, Headers, Param, Query } from "./http/routes.ts";
import { heartbeatMs, type ServerSentEvent, sendEvents } from "./http/serverSentEvents.ts";
import { Streams } from "./http/streams.ts";
import { Describe } from "./openApi.ts";

const Position = z.object({
  "Last-Event-ID": z
    .string()
    .regex(/^\d{1,18}$/, "must be the id of an event")
    .optional()
    .meta({ description: "The last event that the client has; the events after it are sent first." }),
});
type Position = z.infer<typeof Position>;

const Follow = z.strictObject({
  follow: YesOrNo.default("true").meta({
    description: "Whether to wait for new events, or to end after the events so far.",
  }),
});
type Follow = z.infer<typeof Follow>;

const events = { description: "One message per event: its id, and the event as data.", events: EventJson };

@Controller("v1")
@UseGuards(CallerGuard)
export class EventsController {
  constructor(
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(AuditTrail) private readonly trail: AuditTrail,
    @Inject(EventFeed) private readonly feed: EventFeed,
    @Inject(Streams) private readonly streams: Streams,
  ) {}

  @Get("events")
  @Allow("read")
  @Describe({ summary: "The tenant's new events, or all after Last-Event-ID", answers: { 200: events } })
  followTenant(
    @Caller() { tenant }: TenantCaller,
    @Headers({ schema: Position }) position: Position,
    @Res() reply: FastifyReply,
  ): void {
    const signal = this.streams.open(tenant.name, reply);
    send(reply, this.feed.follow({ tenant: tenant.name }, position["Last-Event-ID"], signal, heartbeatMs), signal);
  }

  @Get("sessions/:id/events")
  @Allow("read")
  @Describe({
    summary: "A session's events from its first on, or after Last-Event-ID, until the session has ended",
    answers: { 200: events, 204: { description: "The session has ended, and the client has all of its events." } },
  })
  async followSession(
    @Caller() { tenant }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: Follow }) query: Follow,
    @Headers({ schema: Position }) position: Position,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const session = found(await this.queries.find(id, tenant.name), id);
    const whose = { tenant: tenant.name, sessionId: id };
    const after = position["Last-Event-ID"];
    if (isFinal(session.state) || query.follow === "false") {
      // An EventSource reconnects after every end of the stream, unless the answer is 204.
      if (isFinal(session.state) && (await this.trail.ofTenant(whose, after ?? "0", 1)).length === 0) {
        reply.status(204).send();
        return;
      }
      return send(reply, this.feed.past(whose, after ?? "0"));
    }
    const signal = this.streams.open(tenant.name, reply);
    send(reply, untilOver(this.feed.follow(whose, after, signal, heartbeatMs)), signal);
  }
}

async function* untilOver(events: AsyncGenerator<EventJson | null>): AsyncGenerator<EventJson | null> {
  for await (const event of events) {
    yield event;
    if (event !== null && isFinal(event.state)) return;
  }
}

/** Sends the events, each with its id. */
const send = (reply: FastifyReply, events: AsyncGenerator<EventJson | null>, signal?: AbortSignal) =>
  sendEvents(reply, withIds(events), signal);

async function* withIds(events: AsyncGenerator<EventJson | null>): AsyncGenerator<ServerSentEvent | null> {
  for await (const event of events) yield event && { id: event.id, data: event };
}
