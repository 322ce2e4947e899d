/** Reads, lists, creates, moves and watches files and folders of sessions. */
import { HttpCode, Inject, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import type { z } from "zod";
import type { WatchEvent } from "../berthd/gen/berth/v1/files_pb.ts";
import { listenTo } from "../berthd/listenTo.ts";
import { connectionOf } from "../queue/openConnections.ts";
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

const one = { description: "The file or folder.", json: FileJson };
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
  @Describe({ summary: "The file or folder at a path", answers: { 200: one }, refusals: fileRefusals })
  async getFile(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: InfoQuery }) { path, follow }: InfoQuery,
  ): Promise<FileJson> {
    const session = await this.pods.read(id, caller, "file", `reads the properties of ${quoted(path)}`);
    const request = { path, noFollow: follow === "false" };
    const { info } = await this.pods.ask(session, "stat", ({ files }, options) => files.stat(request, options), byPath);
    return fileJson(info);
  }

  @Get("list")
  @Allow("write")
  @Describe({
    summary: "List a folder by names, each folder before its content; cursor=<nextCursor> for more",
    answers: { 200: { description: "A page.", json: FilesJson } },
    refusals: fileRefusals,
  })
  async listFiles(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: ListQuery }) { path, depth, limit, cursor = "" }: ListQuery,
  ): Promise<z.infer<typeof FilesJson>> {
    const session = await this.pods.read(id, caller, "file", `lists ${quoted(path)}`);
    const request = { path, depth, pageSize: limit, pageToken: cursor };
    const page = await this.pods.ask(session, "list", ({ files }, options) => files.list(request, options), byPath);
    return { items: page.entries.map(fileJson), nextCursor: page.nextPageToken || null };
  }

  @Post("folders")
  @Allow("write")
  @Describe({
    summary: "Create a folder",
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
    summary: "Move or rename a file or folder",
    answers: { 200: { description: "The file or folder at its new path.", json: FileJson } },
    refusals: { ...fileRefusals, ...diskFull, 409: `${fileRefusals[409]} Or the new path exists.` },
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
    summary: "Watch the changes in a folder",
    answers: { 200: { description: "One message per change.", events: WatchEventJson } },
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
    this.streams.list(reply, id, connectionOf(caller.actor, "watch", { path }));
    const { files } = this.pods.services.of(session);
    const request = { path, recursive: recursive === "true" };
    const events = listenTo((ended) => files.watch(request, { signal: ended }), signal);
    // The first event is awaited before the answer begins, so that an error can still be sent as a status.
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
