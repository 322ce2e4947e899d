/** /v1/sessions: the API's one noun. */
import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Res,
  UseGuards,
} from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { Caller, CallerGuard, type CallerInfo, TicketsToo } from "../api/caller.ts";
import { invalidInput, Problem } from "../api/problem.ts";
import { PUBLIC_URL } from "../api/tokens.ts";
import { Tickets } from "../desktop/tickets.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { type Session, toJson } from "./session.ts";
import { SessionStore } from "./sessionStore.ts";
import { finalStates } from "./state.ts";
import { tierNames } from "./tiers.ts";

const CreateBody = z.strictObject(
  { tier: z.enum(tierNames, { error: `must be one of ${tierNames.join(", ")}` }) },
  { error: (issue) => (issue.code === "unrecognized_keys" ? undefined : "must be a JSON object") },
);

const IdempotencyKey = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, "must be 1 to 200 printable ASCII characters without spaces")
  .optional();

const ListQuery = z.object({
  limit: z
    .string()
    .regex(/^([1-9]\d?|100)$/, "must be a whole number from 1 to 100")
    .transform(Number)
    .default(20),
  cursor: z.uuid("must be a nextCursor of an earlier answer").optional(),
});

/** Any version of UUID: whether there is such a session is another question. */
const IdParams = z.object({ id: z.guid("must be a UUID").toLowerCase() });
type IdParams = z.infer<typeof IdParams>;

type SessionJson = ReturnType<typeof toJson>;

@Controller("v1/sessions")
@UseGuards(CallerGuard)
export class SessionsController {
  constructor(
    @Inject(SessionStore) private readonly store: SessionStore,
    @Inject(SessionQueue) private readonly queue: SessionQueue,
    @Inject(Tickets) private readonly tickets: Tickets,
    @Inject(PUBLIC_URL) private readonly publicUrl: string,
  ) {}

  @Post()
  async create(
    @Caller() { tenant, actor }: CallerInfo,
    @Body({ schema: CreateBody }) { tier }: z.infer<typeof CreateBody>,
    @Headers("idempotency-key") idempotencyHeader: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionJson> {
    const key = IdempotencyKey.safeParse(idempotencyHeader);
    if (!key.success) throw invalidInput(key.error.issues, "Idempotency-Key");
    const { name, namespace } = tenant;
    const made = await this.store.create({ tenant: name, namespace, tier, idempotencyKey: key.data }, actor);
    if (made === "backlog") throw new Problem(429, "Too many sessions wait already. Please try again later.");
    if (made === "mismatch") {
      throw new Problem(422, "This Idempotency-Key was used for another request. Use a new key for a new session.", [
        { field: "Idempotency-Key", rule: "must not be used again with another body" },
      ]);
    }
    if (!made.replayed) this.queue.look(made.session.id);
    const json = this.#json(made.session);
    reply.status(made.replayed ? 200 : 201).header("location", json.links.self);
    return json;
  }

  @Get()
  async list(
    @Caller() { tenant }: CallerInfo,
    @Query({ schema: ListQuery }) { limit, cursor }: z.infer<typeof ListQuery>,
  ): Promise<{ items: SessionJson[]; nextCursor: string | null }> {
    const page = await this.store.list(tenant.name, { limit, cursor });
    if (page === undefined)
      throw invalidInput([{ path: ["cursor"], message: "must be a nextCursor of an earlier answer" }]);
    return { items: page.items.map((session) => this.#json(session)), nextCursor: page.nextCursor };
  }

  @Get(":id")
  @TicketsToo()
  async get(@Caller() { tenant }: CallerInfo, @Param({ schema: IdParams }) { id }: IdParams): Promise<SessionJson> {
    return this.#json(found(await this.store.find(id, tenant.name), id));
  }

  @Delete(":id")
  @HttpCode(202)
  async stop(
    @Caller() { tenant, actor }: CallerInfo,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<SessionJson> {
    const session = found(await this.store.stop(id, tenant.name, "Stopped by the user", actor), id);
    this.queue.look(id);
    return this.#json(session);
  }

  @Post(":id/desktop-tickets")
  async issueTicket(
    @Caller() { tenant }: CallerInfo,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<{ ticket: string; expiresAt: string; url: string }> {
    const session = found(await this.store.find(id, tenant.name), id);
    if (finalStates.some((state) => state === session.state)) {
      throw new Problem(409, `The session is ${session.state}; its desktop is gone.`);
    }
    const { ticket, expiresAt } = await this.tickets.issue({ sessionId: id, tenant: tenant.name, mode: "interactive" });
    return { ticket, expiresAt: expiresAt.toISOString(), url: `${this.#json(session).links.desktop}#ticket=${ticket}` };
  }

  #json(session: Session): SessionJson {
    return toJson(session, this.publicUrl);
  }
}

function found(session: Session | undefined, id: string): Session {
  if (session === undefined) throw new Problem(404, `There is no session ${id}.`);
  return session;
}
