/** Links to single files: users with a key make them, and everybody who has a link may use it. */
import { HttpCode, Inject, Req, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { connectionOf } from "../queue/openConnections.ts";
import { Grants } from "../store/grants.ts";
import { Access } from "./access/access.ts";
import { Allow, Caller, type CallerRequest, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { FileLinks } from "./access/fileLinks.ts";
import { FileJson, LinkBody, LinkJson } from "./fileJson.ts";
import {
  fileAnswers,
  fileRefusals,
  quoted,
  ReadHeaders,
  readRefusals,
  WriteHeaders,
  writeRefusals,
} from "./filesController.ts";
import { sendFile, takeFile } from "./fileTransfer.ts";
import { note } from "./grantsController.ts";
import { IdParams } from "./http/input.ts";
import { Body, Controller, Get, Headers, Param, Post, Put, Query } from "./http/routes.ts";
import { Streams } from "./http/streams.ts";
import { TakesFile } from "./http/uploads.ts";
import { Describe } from "./openApi.ts";
import { type RunningSession, SessionPods } from "./sessionPods.ts";
import { PUBLIC_URL } from "./tokens.ts";

const LinkQuery = z.strictObject({
  ticket: z.string("must be the ticket of a link").meta({ description: "The ticket that the link contains." }),
});
type LinkQuery = z.infer<typeof LinkQuery>;

const linkRefusals = {
  401: "The link is no longer valid.",
  403: "The link allows only to read the file, or only to write it.",
  429: "Too many calls; Retry-After says when to try again.",
};

@Controller("v1")
export class FileLinksController {
  constructor(
    @Inject(Access) private readonly access: Access,
    @Inject(FileLinks) private readonly links: FileLinks,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(SessionPods) private readonly pods: SessionPods,
    @Inject(Streams) private readonly streams: Streams,
    @Inject(PUBLIC_URL) private readonly publicUrl: string,
  ) {}

  @Post("sessions/:id/files/links")
  @UseGuards(CallerGuard)
  @Allow("write")
  @Describe({
    summary:
      "Make a link to read or write one file; everybody who has the link may use it until it or its maker's key expires",
    answers: { 201: { description: "The link.", json: LinkJson } },
    refusals: fileRefusals,
  })
  async makeFileLink(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: LinkBody }) { path, access, lifetimeSeconds }: LinkBody,
  ): Promise<z.infer<typeof LinkJson>> {
    const permission = { sessionId: id, tenant: caller.tenant.name, path, access };
    const link = await this.links.issue(permission, caller.credential, lifetimeSeconds);
    await this.pods.findRunning(id, caller);
    await note(this.grants, { ...link, sessionId: id, kind: "file", access, path, madeBy: caller.actor });
    await this.pods.use(id, caller, "file", `makes the link ${link.id} to ${access} ${quoted(path)}`);
    const url = `${this.publicUrl}/v1/files?ticket=${link.link}`;
    return { id: link.id, url, expiresAt: link.expiresAt.toISOString() };
  }

  @Get("files")
  @Describe({
    summary: "Read the file of a link for reading, without a key",
    byLink: true,
    answers: fileAnswers,
    refusals: { ...readRefusals, ...linkRefusals },
  })
  async readLinkedFile(
    @Query({ schema: LinkQuery }) { ticket }: LinkQuery,
    @Headers({ schema: ReadHeaders }) _headers: unknown,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { session, path, signal } = await this.#use(ticket, "read", reply);
    await sendFile(this.pods, session, path, reply, signal);
  }

  @Put("files")
  @HttpCode(200)
  @TakesFile()
  @Describe({
    summary: "Write the file of a link for writing, without a key",
    byLink: true,
    takesFile: "The file's bytes.",
    answers: { 200: { description: "The file.", json: FileJson } },
    refusals: { ...writeRefusals, ...linkRefusals },
  })
  async writeLinkedFile(
    @Query({ schema: LinkQuery }) { ticket }: LinkQuery,
    @Headers({ schema: WriteHeaders }) _headers: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileJson> {
    const { session, path, signal } = await this.#use(ticket, "write", reply);
    return takeFile(this.pods, session, { path, parents: "false" }, request, signal);
  }

  async #use(
    ticket: string,
    access: "read" | "write",
    reply: FastifyReply,
  ): Promise<{ session: RunningSession; path: string; signal: AbortSignal }> {
    const request = reply.request as CallerRequest;
    reply.header("cache-control", "no-store");
    const { link, caller } = await this.access.admitLink(ticket, { address: request.ip, access });
    request.caller = caller;
    const signal = this.streams.open(link.tenant, reply);
    const { sessionId, path } = link;
    const session = await this.pods.use(sessionId, caller, "file", `${access}s ${quoted(path)} by the link ${link.id}`);
    this.streams.list(reply, sessionId, connectionOf(caller.actor, "file", { mode: access, path }));
    return { session, path, signal };
  }
}
