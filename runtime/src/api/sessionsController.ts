/** /v1/sessions: the main resource of the API. */
import { HttpCode, Inject, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { podTemplateHash } from "../domain/podTemplateHash.ts";
import { exceeding, quotaOf, sessionAmounts } from "../domain/quota/quantities.ts";
import type { Session } from "../domain/session.ts";
import { findImage, type PodImages } from "../domain/sessionImages.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { Bell } from "../queue/bell.ts";
import { Claims } from "../queue/claims.ts";
import { SessionQueue } from "../queue/sessionQueue.ts";
import { Activity } from "../store/activity.ts";
import { type Changed, SessionCommands } from "../store/sessionCommands.ts";
import { SessionCreation } from "../store/sessionCreation.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { Allow, Caller, type TenantCaller, TicketsToo } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { found, IdParams } from "./http/input.ts";
import { invalidInput, Problem } from "./http/problem.ts";
import { Body, Controller, Delete, Get, Headers, Param, Post, Query } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { CreateBody, ExtendBody, ListQuery, limitsFor, SessionJson, SessionsPage, toJson } from "./sessionJson.ts";
import { BACKLOG_LIMIT, PLANNING_BELL, POD_IMAGES, PUBLIC_URL } from "./tokens.ts";
import { WaitForRunning } from "./waitForRunning.ts";

const IdempotencyKey = z.object({
  "Idempotency-Key": z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, "must be 1 to 200 printable ASCII characters without spaces")
    .optional()
    .meta({ description: "A key of your choice. Repeating the request with the same key returns the same session." }),
});
type IdempotencyKey = z.infer<typeof IdempotencyKey>;

const Wait = z.strictObject({
  wait: z
    .literal("running", "must be running")
    .optional()
    .meta({ description: "Answers when the session runs or can't run any more, or after 60 s." }),
});
type Wait = z.infer<typeof Wait>;

const one = { description: "The session.", json: SessionJson };
const tooLate = "The session's state does not allow it.";

/** The rule for the image of a session. */
const imageRule = ({ images }: Tenant) =>
  images.length === 0
    ? "must be left out: the tenant has no images of its own"
    : `must be one of ${images.map(({ name }) => name).join(", ")}`;

@Controller("v1/sessions")
@UseGuards(CallerGuard)
export class SessionsController {
  constructor(
    @Inject(SessionCreation) private readonly creation: SessionCreation,
    @Inject(SessionCommands) private readonly commands: SessionCommands,
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(SessionQueue) private readonly queue: SessionQueue,
    @Inject(PLANNING_BELL) private readonly planningBell: Pick<Bell, "ring">,
    @Inject(Claims) private readonly claims: Claims,
    @Inject(Activity) private readonly activity: Activity,
    @Inject(WaitForRunning) private readonly waitForRunning: WaitForRunning,
    @Inject(PUBLIC_URL) private readonly publicUrl: string,
    @Inject(BACKLOG_LIMIT) private readonly backlogLimit: number,
    @Inject(POD_IMAGES) private readonly images: PodImages,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  @Post()
  @Allow("write")
  @Describe({
    summary: "Create a session",
    answers: {
      201: { ...one, headers: { Location: "The session's address." } },
      200: { description: "The session that was created with the same Idempotency-Key.", json: SessionJson },
    },
    refusals: {
      422: "The Idempotency-Key was used with another request.",
      429: "Too many calls, or too many sessions of the tenant are queued; Retry-After says when to try again.",
    },
  })
  async createSession(
    @Caller() { tenant, actor }: TenantCaller,
    @Body({ schema: CreateBody }) body: CreateBody,
    @Query({ schema: Wait }) { wait }: Wait,
    @Headers({ schema: IdempotencyKey }) { "Idempotency-Key": key }: IdempotencyKey,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionJson> {
    if (tenant.maxSessions === 0) {
      throw new Problem(403, `The tenant ${tenant.name} may not have sessions: its config has maxSessions: 0.`);
    }
    const image = findImage(tenant, this.images, body.image ?? null);
    if (image === undefined) throw invalidInput([{ path: ["image"], message: imageRule(tenant) }]);
    const { desktop } = image;
    const workspaceMode = tenant.workspace.mode;
    const excess = exceeding(sessionAmounts({ tier: body.tier, desktop, workspaceMode }, tenant), quotaOf(tenant));
    if (excess !== undefined) {
      throw new Problem(403, `A ${body.tier} session exceeds the whole quota of ${tenant.name} (${excess}).`);
    }
    const { limits, faults } = limitsFor(tenant, body);
    if (faults.length > 0) throw invalidInput(faults);
    const waited = wait && this.waitForRunning.begin(tenant.name, reply);
    const { tier, labels = {}, command = image.command, env = {}, secrets = {} } = body;
    const claim = image.warmPools[tier] > 0 ? podTemplateHash(this.images, image, tenant) : undefined;
    const made = await this.creation.create(
      {
        tenant: tenant.name,
        namespace: tenant.namespace,
        tier,
        image: image.name,
        desktop,
        labels,
        task: { command, env, secrets },
        priority: tenant.priority,
        ...limits,
        workspaceMode,
        idempotency: key === undefined ? undefined : { key, request: body },
        backlogLimit: this.backlogLimit,
        claim,
      },
      actor,
    );
    if (made === "backlog") {
      throw new Problem(429, "Too many of the tenant's sessions are queued. Try again later.", undefined, 30);
    }
    if (made === "mismatch") {
      throw new Problem(422, "This Idempotency-Key was used with another request. Use a new key for a new session.", [
        { field: "Idempotency-Key", rule: "must not be used again with another body" },
      ]);
    }
    if (!made.replayed) {
      const isHit = made.session.state === "running";
      if (claim !== undefined) {
        this.metrics.warmClaims.inc({ image: made.session.image ?? "", tier, outcome: isHit ? "hit" : "miss" });
      }
      // A claimed session needs no reconcile. The claim's message lets the pod get its task, and the worker fill the warm pool.
      if (isHit) this.claims.publish(made.session.id);
      else this.#wake(made.session);
    }
    const json = await this.#json((await waited?.(made.session)) ?? made.session);
    reply.status(made.replayed ? 200 : 201).header("location", json.links.self);
    return json;
  }

  @Get()
  @Allow("read")
  @Describe({
    summary: "List the tenant's sessions, newest first",
    answers: { 200: { description: "A page.", json: SessionsPage } },
  })
  async listSessions(
    @Caller() { tenant }: TenantCaller,
    @Query({ schema: ListQuery }) { limit, cursor, state, tier, label }: ListQuery,
  ): Promise<SessionsPage> {
    const labels = label && Object.fromEntries(label.map((text) => text.split(/=(.*)/s).slice(0, 2)));
    const page = await this.queries.list(tenant.name, { limit, cursor, states: state, tier, labels });
    if (page === undefined) {
      throw invalidInput([{ path: ["cursor"], message: "must be a nextCursor of an earlier answer" }]);
    }
    return { items: await this.#jsons(tenant.name, page.items), nextCursor: page.nextCursor };
  }

  @Get(":id")
  @Allow("read")
  @TicketsToo()
  @Describe({ summary: "A session", answers: { 200: one } })
  async getSession(
    @Caller() { tenant }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<SessionJson> {
    return this.#json(found(await this.queries.find(id, tenant.name), id));
  }

  @Delete(":id")
  @HttpCode(202)
  @Allow("write")
  @Describe({
    summary: "End a session: its pod gets 30 s of grace, then everything is deleted except a workspace under retention",
    answers: { 202: one },
  })
  async deleteSession(
    @Caller() { tenant, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<SessionJson> {
    const session = found(await this.commands.stop(id, tenant.name, "Stopped by the user", actor), id);
    this.queue.trigger(id);
    return this.#json(session);
  }

  @Post(":id/suspend")
  @HttpCode(202)
  @Allow("write")
  @Describe({
    summary: "Suspend a session: delete its pod and keep its workspace",
    answers: { 202: one },
    refusals: { 409: tooLate },
  })
  async suspendSession(
    @Caller() { tenant, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<SessionJson> {
    return this.#json(this.#changed(await this.commands.suspend(id, tenant.name, actor), id));
  }

  @Post(":id/resume")
  @HttpCode(202)
  @Allow("write")
  @Describe({
    summary: "Resume a suspended session with its workspace",
    answers: { 202: one },
    refusals: { 409: tooLate },
  })
  async resumeSession(
    @Caller() { tenant, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: Wait }) { wait }: Wait,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SessionJson> {
    const waited = wait && this.waitForRunning.begin(tenant.name, reply);
    const session = this.#changed(await this.commands.resume(id, tenant.name, actor), id);
    this.activity.touch(id);
    return this.#json((await waited?.(session)) ?? session);
  }

  @Post(":id/extend")
  @HttpCode(200)
  @Allow("write")
  @Describe({
    summary: "Extend a session's maximum lifetime, within the tenant's limit",
    answers: { 200: one },
    refusals: { 409: "The session is ending, already has the tenant's limit, or has no maximum lifetime." },
  })
  async extendSession(
    @Caller() { tenant, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: ExtendBody }) { seconds }: ExtendBody,
  ): Promise<SessionJson> {
    const limit = tenant.maxLifetimeSeconds;
    const { maxLifetimeSeconds } = found(await this.queries.find(id, tenant.name), id);
    if (limit !== null && maxLifetimeSeconds !== null && maxLifetimeSeconds >= limit) {
      throw new Problem(409, `The session may already run for ${limit} s, which is the tenant's limit.`);
    }
    return this.#json(this.#changed(await this.commands.extend(id, tenant.name, seconds, limit, actor), id));
  }

  @Post(":id/touch")
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary: "Report that a session is in use, so that it does not end as idle",
    answers: { 204: { description: "Noted." } },
  })
  async touchSession(@Caller() { tenant }: TenantCaller, @Param({ schema: IdParams }) { id }: IdParams): Promise<void> {
    found(await this.queries.find(id, tenant.name), id);
    this.activity.touch(id);
  }

  #changed(changed: Changed | undefined, id: string): Session {
    const { session, refusal } = found(changed, id);
    if (refusal !== null) throw new Problem(409, refusal);
    this.#wake(session);
    return session;
  }

  /** Wakes the process that does the session's next step: the leader plans the queue, and any worker reconciles. */
  #wake({ id, state }: Session): void {
    if (state === "queued") this.planningBell.ring();
    else this.queue.trigger(id);
  }

  async #json(session: Session): Promise<SessionJson> {
    const [json] = await this.#jsons(session.tenant, [session]);
    return json as SessionJson;
  }

  /** The tenant's sessions as JSON. Queued sessions cost one more statement, which reads the tenant's queue. */
  async #jsons(tenant: string, sessions: Session[]): Promise<SessionJson[]> {
    const queued = sessions.filter(({ state }) => state === "queued").map(({ id }) => id);
    const positions = queued.length > 0 ? await this.queries.queuePositions(tenant, queued) : undefined;
    return sessions.map((session) => toJson(session, this.publicUrl, positions?.get(session.id) ?? null));
  }
}
