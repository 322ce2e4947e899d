/** The bytes of files and archives from and to berthd's FileService, as they come, without copies; see byteStream.ts. */
import { once } from "node:events";
import { type Agent, type ClientRequest, type IncomingMessage, request } from "node:http";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { ByteStreamReader, enveloped, headOf, type Part } from "./byteStream.ts";
import {
  type FileInfo,
  ReadRequestSchema,
  ReadResponseSchema,
  TarDownRequestSchema,
  TarUpRequestSchema,
  type TarUpResponse,
  TarUpResponseSchema,
  type WriteOptionsSchema,
  WriteRequestSchema,
  type WriteResponse,
  WriteResponseSchema,
} from "./gen/berth/v1/files_pb.ts";
import { PodError } from "./podError.ts";

/** A session's berthd, and how it is spoken to. */
export interface Berthd {
  /** e.g. `http://10.0.0.7:6082`. */
  origin: string;
  token: string;
  agent: Agent;
}

/** Milliseconds in which a pod must have an upload on its disk, once it has got all of it. */
const storeMs = 120_000;

/** Numbers of the fields with bytes, see files.proto. */
const fields = { read: 2, tarDown: 1, write: 2, tarUp: 2 } as const;

/** The file's facts, and then its bytes. Throws what podErrorOf knows. */
export async function* read(
  berthd: Berthd,
  wanted: MessageInitShape<typeof ReadRequestSchema>,
  signal: AbortSignal,
): AsyncGenerator<FileInfo | Buffer> {
  const message = toBinary(ReadRequestSchema, create(ReadRequestSchema, wanted));
  for await (const part of down(berthd, "Read", message, fields.read, signal)) {
    if (part.is === "bytes") yield part.bytes;
    if (part.is !== "message") continue;
    const { kind } = fromBinary(ReadResponseSchema, part.message);
    if (kind.case === "info") yield kind.value;
  }
}

/** The archive's bytes. Throws what podErrorOf knows. */
export async function* tarDown(berthd: Berthd, path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const message = toBinary(TarDownRequestSchema, create(TarDownRequestSchema, { path }));
  for await (const part of down(berthd, "TarDown", message, fields.tarDown, signal)) {
    if (part.is === "bytes") yield part.bytes;
  }
}

/** Writes a file. An error of `body` is thrown as it is, and nothing is written then. */
export async function write(
  berthd: Berthd,
  options: MessageInitShape<typeof WriteOptionsSchema>,
  body: AsyncGenerator<Buffer>,
  signal: AbortSignal,
): Promise<WriteResponse> {
  const message = (kind: MessageInitShape<typeof WriteRequestSchema>["kind"]) =>
    toBinary(WriteRequestSchema, create(WriteRequestSchema, kind === undefined ? {} : { kind }));
  const first = message({ case: "options", value: options });
  const last = message({ case: "end", value: {} });
  return fromBinary(WriteResponseSchema, await up(berthd, "Write", first, fields.write, body, last, signal));
}

/** Unpacks an archive into the folder. An error of `body` is thrown as it is. */
export async function tarUp(
  berthd: Berthd,
  path: string,
  body: AsyncGenerator<Buffer>,
  signal: AbortSignal,
): Promise<TarUpResponse> {
  const first = toBinary(TarUpRequestSchema, create(TarUpRequestSchema, { path }));
  return fromBinary(TarUpResponseSchema, await up(berthd, "TarUp", first, fields.tarUp, body, undefined, signal));
}

function begin({ origin, token, agent }: Berthd, method: string, signal: AbortSignal): ClientRequest {
  const sent = request(`${origin}/berth.v1.FileService/${method}`, {
    method: "POST",
    agent,
    signal,
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/connect+proto",
      "connect-protocol-version": "1",
    },
  });
  // Whoever waits for something of it hears of errors; one that comes when nobody does is no news.
  return sent.on("error", () => {});
}

/** The parts of an answer, up to its end. Throws the error that the end has. */
async function* partsOf(response: IncomingMessage, field: number): AsyncGenerator<Part> {
  response.on("error", () => {}); // as with the request
  if (response.statusCode !== 200) {
    response.destroy();
    const isMissing = response.statusCode === 404;
    throw new PodError(isMissing ? "absent" : "broken", `the pod answered with the status ${response.statusCode}`);
  }
  const reader = new ByteStreamReader(field);
  for await (const piece of response as AsyncIterable<Buffer>) {
    for (const part of reader.take(piece)) {
      if (part.is === "end") {
        const { error } = endStreamFromJson(part.json);
        if (error !== undefined) throw error;
        response.resume(); // so that the connection can be used again
        return;
      }
      yield part;
    }
  }
  throw new PodError("unreachable", "the pod's answer was cut off");
}

async function* down(
  berthd: Berthd,
  method: string,
  message: Uint8Array,
  field: number,
  signal: AbortSignal,
): AsyncGenerator<Part> {
  const sent = begin(berthd, method, signal).end(enveloped(message));
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  yield* partsOf(response, field);
}

/** Sends the messages, no faster than the pod takes them, and returns the answer's message. */
async function up(
  berthd: Berthd,
  method: string,
  first: Uint8Array,
  field: number,
  body: AsyncGenerator<Buffer>,
  last: Uint8Array | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const sent = begin(berthd, method, signal);
  let isAnswered = false;
  const answer = once(sent, "response").then(async ([response]) => {
    isAnswered = true; // it may be a refusal in the middle: nobody wants the rest
    for await (const part of partsOf(response as IncomingMessage, 0)) if (part.is === "message") return part.message;
    return new Uint8Array(); // a message whose fields are all zero has no bytes, so the reader gave none
  });
  const isTold = answer.then(
    () => {},
    () => {},
  );
  try {
    sent.write(enveloped(first));
    for await (const bytes of body) {
      if (isAnswered || sent.destroyed) break;
      sent.cork();
      sent.write(headOf(field, bytes.length));
      const isFull = !sent.write(bytes);
      process.nextTick(() => sent.uncork());
      if (isFull) await Promise.race([once(sent, "drain").catch(() => {}), isTold]);
    }
    if (!isAnswered && !sent.destroyed) {
      sent.setTimeout(storeMs, () => sent.destroy(new PodError("unreachable", "the pod does not store the upload")));
      sent.end(last && enveloped(last));
    }
    return await answer;
  } finally {
    if (!sent.writableFinished) sent.destroy();
  }
}
