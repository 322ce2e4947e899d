/** The bytes of files and archives, between users and sessions' pods, no faster than either takes them. */
import { basename } from "node:path/posix";
import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { read, tarDown, tarUp, write } from "../pod/fileBytes.ts";
import type { FileInfo, TarUpResponse } from "../pod/gen/berth/v1/files_pb.ts";
import { listenTo } from "../pod/listenTo.ts";
import { PodError } from "../pod/podError.ts";
import { type FileJson, fileJson, modeBits, type WriteQuery } from "./fileJson.ts";
import { Problem } from "./http/problem.ts";
import { attachment, namesEtag, type Range, rangeOf } from "./http/ranges.ts";
import { bodyOf } from "./http/uploads.ts";
import type { RunningSession, SessionPods } from "./sessionPods.ts";

/** What a file of an agent must never be: a page of ours. */
const asDownload = {
  "content-type": "application/octet-stream",
  "x-content-type-options": "nosniff",
  "content-security-policy": "sandbox; default-src 'none'",
};

const byPath = { field: "path" } as const;

/** Sends the file, or the range of it that is wanted, or that nothing has changed. */
export async function sendFile(
  pods: SessionPods,
  session: RunningSession,
  path: string,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const { headers, method } = reply.request;
  const { range, "if-none-match": unless, "if-range": ifRange } = headers;
  let part: Range | undefined;
  let etag = headers["if-match"];
  if (etag === "*") etag = undefined;
  if (method === "HEAD" || range !== undefined || unless !== undefined) {
    const info = await statFile(pods, session, path);
    if (etag !== undefined && !namesEtag(etag, info.etag))
      throw new Problem(412, "The file has not this ETag any more.");
    if (namesEtag(unless, info.etag)) return void reply.status(304).header("etag", info.etag).send();
    if (method === "HEAD") {
      return void reply.headers({ ...describe(info), "content-length": String(info.size) }).send(Readable.from([]));
    }
    const wanted = ifRange === undefined || ifRange === info.etag ? rangeOf(range, Number(info.size)) : undefined;
    if (wanted === "unsatisfiable") {
      reply.header("content-range", `bytes */${info.size}`);
      throw new Problem(416, `The file has ${info.size} bytes, and none of them is in the range.`);
    }
    part = wanted;
    if (part !== undefined) etag = info.etag;
  }
  const request = {
    path,
    ...(part && { offset: BigInt(part.first), length: BigInt(part.last - part.first + 1) }),
    ...(etag !== undefined && { ifMatch: etag }),
  };
  const parts = listenTo((ended) => read(pods.services.berthd(session), request, ended), signal);
  const info = await pods.traced(
    session,
    "read",
    async () => {
      const { value } = await parts.next();
      if (value === undefined || Buffer.isBuffer(value)) {
        throw new PodError("broken", "the first message has no facts of the file");
      }
      return value;
    },
    byPath,
  );
  const { size } = info;
  if (part !== undefined) reply.status(206).header("content-range", `bytes ${part.first}-${part.last}/${size}`);
  const length = part === undefined ? size : BigInt(part.last - part.first + 1);
  reply.headers({ ...describe(info), "content-length": String(length) });
  reply.send(Readable.from(parts, { objectMode: false }));
}

async function statFile(pods: SessionPods, session: RunningSession, path: string): Promise<FileInfo> {
  const { info } = await pods.ask(session, "stat", ({ files }, options) => files.stat({ path }, options), byPath);
  if (fileJson(info).kind !== "file" || info === undefined) {
    throw new Problem(409, `${JSON.stringify(path)} is no regular file.`);
  }
  return info;
}

function describe(info: FileInfo): Record<string, string> {
  return {
    ...asDownload,
    "content-disposition": attachment(basename(info.path)),
    "accept-ranges": "bytes",
    etag: info.etag,
    "last-modified": new Date(fileJson(info).modifiedAt).toUTCString(),
  };
}

/** Takes the request's body for the file. It is there with all its bytes in the end, or what was there before is. */
export async function takeFile(
  pods: SessionPods,
  session: RunningSession,
  { path, mode, parents }: WriteQuery,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<FileJson> {
  const { "content-length": length, "if-match": ifMatch = "", "if-none-match": unless } = request.headers;
  const options = {
    path,
    makeParents: parents === "true",
    ifMatch: ifMatch === "*" ? "" : ifMatch,
    mustNotExist: unless === "*",
    ...(mode !== undefined && { mode: modeBits(mode) }),
    ...(length !== undefined && { size: BigInt(length) }),
  };
  const work = async () =>
    fileJson((await write(pods.services.berthd(session), options, bodyOf(request), signal)).info);
  return pods.traced(session, "write", work, { ...byPath, full: 507, exists: 412 });
}

/** Sends what is at the path as a tar archive. */
export async function sendArchive(
  pods: SessionPods,
  session: RunningSession,
  path: string,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const parts = listenTo((ended) => tarDown(pods.services.berthd(session), path, ended), signal);
  const first = await pods.traced(session, "tar down", () => parts.next(), byPath);
  const name = `${basename(path) || "files"}.tar`;
  reply.headers({ ...asDownload, "content-type": "application/x-tar", "content-disposition": attachment(name) });
  const bytes = async function* () {
    if (!first.done) yield first.value;
    yield* parts;
  };
  reply.send(Readable.from(bytes(), { objectMode: false }));
}

/** Unpacks the request's body, a tar archive, into the folder. */
export async function takeArchive(
  pods: SessionPods,
  session: RunningSession,
  path: string,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<TarUpResponse> {
  const work = () => tarUp(pods.services.berthd(session), path, bodyOf(request), signal);
  return pods.traced(session, "tar up", work, { full: 507, field: "body" });
}
