/** Reads, writes and removes files of sessions, and transfers whole folders as archives. */
import { HttpCode, Inject, Req, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { connectionOf } from "../queue/openConnections.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { ArchiveJson, FileJson, PathQuery, RemoveQuery, WriteQuery } from "./fileJson.ts";
import { sendArchive, sendFile, takeArchive, takeFile } from "./fileTransfer.ts";
import { IdParams } from "./http/input.ts";
import { Controller, Delete, Get, Headers, Param, Put, Query } from "./http/routes.ts";
import { Streams } from "./http/streams.ts";
import { TakesFile } from "./http/uploads.ts";
import { Describe } from "./openApi.ts";
import { SessionPods } from "./sessionPods.ts";

/** The errors of every operation on files. */
export const fileRefusals = {
  404: "The session or the path does not exist.",
  409: "The session is not running, its pod's version lacks this service, or the path is of another kind.",
  502: "The session's pod sent an invalid answer.",
};
/** The error of operations that write. */
export const diskFull = { 507: "The disk is full; nothing was changed." };

/** The answers that contain a file's bytes. */
export const fileAnswers = {
  200: {
    description: "The file.",
    file: true,
    headers: { ETag: "Changes when the file's bytes change.", "Accept-Ranges": "bytes" },
  },
  206: { description: "The requested range.", file: true, headers: { "Content-Range": "The positions of the range." } },
  304: { description: "The file still has this ETag." },
} as const;
export const readRefusals = {
  ...fileRefusals,
  412: "The file does not have the ETag of If-Match.",
  416: "The file has no byte in the range.",
};
export const writeRefusals = {
  ...fileRefusals,
  ...diskFull,
  412: "The file does not have the ETag of If-Match, or it exists and If-None-Match is *.",
};

const text = (description: string) => z.string().optional().meta({ description });
export const ReadHeaders = z.object({
  Range: text("One range of bytes, e.g. bytes=0-99."),
  "If-Match": text("An ETag that the file must have."),
  "If-None-Match": text("An ETag; a file with this ETag is not sent."),
  "If-Range": text("An ETag; if the file has another one, the whole file is sent."),
});
export const WriteHeaders = z.object({
  "If-Match": text("An ETag that the replaced file must have."),
  "If-None-Match": text("With *, the file must not exist."),
});

@Controller("v1/sessions/:id/files")
@UseGuards(CallerGuard)
export class FilesController {
  constructor(
    @Inject(SessionPods) private readonly pods: SessionPods,
    @Inject(Streams) private readonly streams: Streams,
  ) {}

  @Get()
  @Allow("write")
  @Describe({ summary: "A file's bytes, or a range of them", answers: fileAnswers, refusals: readRefusals })
  async readFile(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: PathQuery }) { path }: PathQuery,
    @Headers({ schema: ReadHeaders }) _headers: unknown,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "file", `reads ${quoted(path)}`);
    this.streams.list(reply, id, connectionOf(caller.actor, "file", { mode: "read", path }));
    await sendFile(this.pods, session, path, reply, signal);
  }

  @Put()
  @HttpCode(200)
  @TakesFile()
  @Allow("write")
  @Describe({
    summary: "Write a file: in the end it has all bytes of the body, or its old content",
    takesFile: "The file's bytes.",
    answers: { 200: { description: "The file.", json: FileJson, headers: { ETag: "Of the file's bytes." } } },
    refusals: writeRefusals,
  })
  async writeFile(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: WriteQuery }) query: WriteQuery,
    @Headers({ schema: WriteHeaders }) _headers: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<FileJson> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "file", `writes ${quoted(query.path)}`);
    this.streams.list(reply, id, connectionOf(caller.actor, "file", { mode: "write", path: query.path }));
    const file = await takeFile(this.pods, session, query, request, signal);
    if (file.etag !== null) reply.header("etag", file.etag);
    return file;
  }

  @Delete()
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary: "Remove a file, a symlink or a folder",
    answers: { 204: { description: "It is removed." } },
    refusals: fileRefusals,
  })
  async removeFile(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: RemoveQuery }) { path, recursive }: RemoveQuery,
  ): Promise<void> {
    const session = await this.pods.use(id, caller, "file", `removes ${quoted(path)}`);
    const request = { path, recursive: recursive === "true" };
    await this.pods.ask(session, "remove", ({ files }, options) => files.remove(request, options), { field: "path" });
  }

  @Get("archive")
  @Allow("write")
  @Describe({
    summary: "Read a folder with its content, or a file, as a tar archive; sockets, FIFOs and devices are left out",
    answers: { 200: { description: "The archive.", file: true } },
    refusals: fileRefusals,
  })
  async readArchive(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: PathQuery }) { path }: PathQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "file", `reads ${quoted(path)} as an archive`);
    this.streams.list(reply, id, connectionOf(caller.actor, "file", { mode: "read", path }));
    await sendArchive(this.pods, session, path, reply, signal);
  }

  @Put("archive")
  @HttpCode(200)
  @TakesFile()
  @Allow("write")
  @Describe({
    summary: "Unpack a tar archive into a folder, which is created if it is missing; each file is written as by PUT",
    takesFile: "The archive.",
    answers: { 200: { description: "The numbers of files and bytes that were written.", json: ArchiveJson } },
    refusals: { ...fileRefusals, 507: "The disk is full; the files before the failed one were written." },
  })
  async writeArchive(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: PathQuery }) { path }: PathQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<z.infer<typeof ArchiveJson>> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "file", `unpacks an archive into ${quoted(path)}`);
    this.streams.list(reply, id, connectionOf(caller.actor, "file", { mode: "write", path }));
    const { files, bytes } = await takeArchive(this.pods, session, path, request, signal);
    return { files: Number(files), bytes: Number(bytes) };
  }
}

/** A path in quotes, for the texts of the audit trail. The path is cut to 500 characters. */
export const quoted = (path: string): string =>
  JSON.stringify(path.length <= 500 ? path : `${path.slice(0, 499).toWellFormed()}…`);
