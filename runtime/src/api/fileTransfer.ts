/** Transfers files and archives between users and sessions' pods, at the speed of the slower side. */
import type { IncomingHttpHeaders } from "node:http";
import { basename, normalize } from "node:path/posix";
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Bytes, receive, send } from "../berthd/fileBytes.ts";
import { FileInfoSchema, type Unpacked, UnpackedSchema } from "../berthd/gen/berth/v1/files_pb.ts";
import { givingBack } from "../berthd/givingBack.ts";
import { type FileJson, fileJson, type WriteQuery } from "./fileJson.ts";
import { Problem } from "./http/problem.ts";
import { attachment, oneRange } from "./http/ranges.ts";
import { watchBody } from "./http/uploads.ts";
import type { RunningSession, SessionPods } from "./sessionPods.ts";

/** Headers that keep a browser from showing an agent's file as a page of Berth. */
const asDownload = {
  "content-type": "application/octet-stream",
  "x-content-type-options": "nosniff",
  "content-security-policy": "sandbox; default-src 'none'",
};

const byPath = { field: "path" } as const;

/** The caller's headers that go to berthd, and berthd's headers that go to the caller. */
const conditions = ["if-match", "if-none-match", "if-range"] as const;
const facts = ["content-length", "content-range", "accept-ranges", "etag", "last-modified"] as const;

/** Sends the file or the requested range, or answers that the file has not changed. */
export async function sendFile(
  pods: SessionPods,
  session: RunningSession,
  path: string,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const { headers, method } = reply.request;
  const range = oneRange(headers.range);
  const wanted = { ...those(headers, conditions), ...(range !== undefined && { range }) };
  const answer = await pods.traced(
    session,
    "read",
    () =>
      receive(
        pods.services.berthd(session),
        method === "HEAD" ? "HEAD" : "GET",
        { of: "files", query: { path }, headers: wanted },
        signal,
      ),
    byPath,
  );
  const { statusCode = 0 } = answer;
  if (statusCode === 416) {
    answer.resume();
    reply.headers(those(answer.headers, ["content-range"]));
    throw new Problem(416, "None of the file's bytes is in the range.");
  }
  givingBack(reply.raw);
  reply
    .status(statusCode)
    .headers({ ...asDownload, "content-disposition": attachment(nameOf(path)), ...those(answer.headers, facts) })
    .send(answer);
}

/** Those of the headers that have one of the names. */
const those = (headers: IncomingHttpHeaders, names: readonly string[]) =>
  Object.fromEntries(names.flatMap((name) => (headers[name] === undefined ? [] : [[name, headers[name]]])));

/** The name of the file or folder at the path. */
const nameOf = (path: string) => basename(normalize(path));

/** Writes the request's body to the file. In the end the file has all bytes of the body, or its old content. */
export async function takeFile(
  pods: SessionPods,
  session: RunningSession,
  { path, mode, parents }: WriteQuery,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<FileJson> {
  const { "content-length": length, "if-match": ifMatch, "if-none-match": unless } = request.headers;
  const bytes = {
    of: "files" as const,
    query: { path, parents, ...(mode !== undefined && { mode }) },
    headers: {
      ...(length !== undefined && { "content-length": length }),
      ...(ifMatch !== undefined && ifMatch !== "*" && { "if-match": ifMatch }),
      ...(unless === "*" && { "if-none-match": unless }),
    },
  };
  const work = async () => fileJson(await take(pods, session, bytes, request, FileInfoSchema, signal));
  return pods.traced(session, "write", work, { ...byPath, full: 507, exists: 412 });
}

/** Sends the file or folder at the path as a tar archive. */
export async function sendArchive(
  pods: SessionPods,
  session: RunningSession,
  path: string,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<void> {
  const bytes = { of: "archives", query: { path } } as const;
  const work = () => receive(pods.services.berthd(session), "GET", bytes, signal);
  const answer = await pods.traced(session, "tar down", work, byPath);
  const name = `${nameOf(path)}.tar`;
  givingBack(reply.raw);
  reply
    .headers({ ...asDownload, "content-type": "application/x-tar", "content-disposition": attachment(name) })
    .send(answer);
}

/** Unpacks the request's body, a tar archive, into the folder. */
export async function takeArchive(
  pods: SessionPods,
  session: RunningSession,
  path: string,
  request: FastifyRequest,
  signal: AbortSignal,
): Promise<Unpacked> {
  const bytes = { of: "archives", query: { path } } as const;
  const work = () => take(pods, session, bytes, request, UnpackedSchema, signal);
  return pods.traced(session, "tar up", work, { full: 507, field: "body" });
}

/** Sends the request's body to the session's pod, and returns the pod's answer. */
async function take<T extends DescMessage>(
  pods: SessionPods,
  session: RunningSession,
  bytes: Bytes,
  request: FastifyRequest,
  answers: T,
  signal: AbortSignal,
): Promise<MessageShape<T>> {
  const fault = watchBody(request);
  return send(pods.services.berthd(session), bytes, request.raw, answers, signal).catch((error: unknown) => {
    throw fault() ?? (signal.reason instanceof Problem ? signal.reason : error);
  });
}
