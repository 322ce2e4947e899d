/** What files and folders sessions have: told, listed, made, moved, watched. */
import { HttpCode, Inject, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import type { z } from "zod";
import type { WatchEvent } from "../pod/gen/berth/v1/files_pb.ts";
import { listenTo } from "../pod/listenTo.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import {
  FileJson,
  FilesJson,
  FolderBody,
  fileJson,
  InfoQuery,
  ListQuery,
  MoveBody,
  modeBits,
  WatchEventJson,
  WatchQuery,
  watchEventJson,
} from "./fileJson.ts";
import { diskFull, fileRefusals, quoted } from "./filesController.ts";
import { IdParams } from "./http/input.ts";
import { Body, Controller, Get, Param, Post, Query } from "./http/routes.ts";
import { type ServerSentEvent, sendEvents } from "./http/serverSentEvents.ts";
import { Streams } from "./http/streams.ts";
import { Describe } from "./openApi.ts";
import { serviceProblem } from "./serviceProblem.ts";
import { SessionPods } from "./sessionPods.ts";

const one = { description: "What is there.", json: FileJson };
const byPath = { field: "path" } as const;

@Controller("v1/sessions/:id/files")
@UseGuards(CallerGuard)
export class FolderController {
  constructor(
    @Inject(SessionPods) private readonly pods: SessionPods,
    @Inject(Streams) private readonly streams: Streams,
  ) {}

  @Get("info")
  @Allow("write")
  @Describe({ summary: "What is at a path", answers: { 200: one }, refusals: fileRefusals })
  async getFile(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: InfoQuery }) { path, follow }: InfoQuery,
  ): Promise<FileJson> {
    const session = await this.pods.look(id, caller);
    const request = { path, noFollow: follow === "false" };
    const { info } = await this.pods.ask(session, "stat", ({ files }, options) => files.stat(request, options), byPath);
    return fileJson(info);
  }

  @Get("list")
  @Allow("write")
  @Describe({
    summary: "What is in a folder, a folder before what is in it, by names; cursor=<nextCursor> for more",
    answers: { 200: { description: "A page.", json: FilesJson } },
    refusals: fileRefusals,
  })
  async listFiles(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: ListQuery }) { path, depth, limit, cursor = "" }: ListQuery,
  ): Promise<z.infer<typeof FilesJson>> {
    const session = await this.pods.look(id, caller);
    const request = { path, depth, pageSize: limit, pageToken: cursor };
    const page = await this.pods.ask(session, "list", ({ files }, options) => files.list(request, options), byPath);
    return { items: page.entries.map(fileJson), nextCursor: page.nextPageToken || null };
  }

  @Post("folders")
  @Allow("write")
  @Describe({
    summary: "Make a folder",
    answers: { 201: { description: "The folder.", json: FileJson } },
    refusals: { ...fileRefusals, ...diskFull },
  })
  async makeFolder(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: FolderBody }) { path, mode, parents }: FolderBody,
  ): Promise<FileJson> {
    const session = await this.pods.use(id, caller, "file", `makes the folder ${quoted(path)}`);
    const request = { path, parents, ...(mode !== undefined && { mode: modeBits(mode) }) };
    const make = () =>
      this.pods.ask(session, "make", ({ files }, options) => files.makeDir(request, options), { ...byPath, full: 507 });
    return fileJson((await make()).info);
  }

  @Post("move")
  @HttpCode(200)
  @Allow("write")
  @Describe({
    summary: "Move a file or folder, or give it another name",
    answers: { 200: { description: "It at its new place.", json: FileJson } },
    refusals: { ...fileRefusals, ...diskFull, 409: `${fileRefusals[409]} Or there is something at the new place.` },
  })
  async moveFile(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: MoveBody }) body: MoveBody,
  ): Promise<FileJson> {
    const session = await this.pods.use(id, caller, "file", `moves ${quoted(body.from)} to ${quoted(body.to)}`);
    const asked = { field: "to", full: 507 } as const;
    const { info } = await this.pods.ask(session, "move", ({ files }, options) => files.move(body, options), asked);
    return fileJson(info);
  }

  @Get("watch")
  @Allow("write")
  @Describe({
    summary: "The changes in a folder, as they happen",
    answers: { 200: { description: "A message a change.", events: WatchEventJson } },
    refusals: fileRefusals,
  })
  async watchFiles(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: WatchQuery }) { path, recursive }: WatchQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "file", `watches ${quoted(path)}`);
    const { files } = this.pods.services.of(session);
    const request = { path, recursive: recursive === "true" };
    const events = listenTo((ended) => files.watch(request, { signal: ended }), signal);
    // The first one is waited for, so that a refusal can still be an answer.
    const first = await this.pods.traced(session, "watch", () => events.next(), byPath);
    if (!first.done) sendEvents(reply, messages(first.value, events, signal), signal);
  }
}

async function* messages(
  first: WatchEvent,
  more: AsyncGenerator<WatchEvent>,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent | null> {
  let count = 0;
  const message = (event: WatchEvent) => {
    const data = watchEventJson(event);
    return data && { id: String(++count), data };
  };
  try {
    yield message(first);
    for await (const event of more) yield message(event);
  } catch (error) {
    if (!signal.aborted) throw serviceProblem(error);
  }
}
