/**
 * Receives and sends the bytes of files and archives. The bytes are the bodies of plain HTTP requests and answers, so this
 * process does not have to decode them as messages of Connect; see images/berthd/internal/files/bytes.go.
 */
import type { IncomingMessage, OutgoingHttpHeaders } from "node:http";
import { finished, type Readable } from "node:stream";
import { type DescMessage, fromJsonString, type MessageShape } from "@bufbuild/protobuf";
import { giveBack, givingBack } from "./givingBack.ts";
import { PodError } from "./podError.ts";
import { answerTo, type Berthd, begin, bytesOf } from "./requests.ts";

/** Identifies the file or archive that a request reads or writes. */
export interface Bytes {
  of: "files" | "archives";
  /** The query parameters: `path`, and for writing a file also `mode` and `parents`. See bytes.go. */
  query: Record<string, string>;
  headers?: OutgoingHttpHeaders;
}

/** A download fails if the pod sends no byte for this many milliseconds although the reader waits. */
const silenceMs = 45_000;

/** How many milliseconds a pod may take to store an upload, after the upload's last byte was sent. */
const storeMs = 120_000;

/** Maximum number of bytes of the answer to an upload. */
const maxAnswerBytes = 64 * 1024;

/**
 * Returns the pod's answer, with the status 200, 206, 304 or 416, and the bytes as its body. The signal aborts the request
 * and the answer. Throws errors that podErrorOf knows.
 * @param method GET, or HEAD to get only the headers
 */
export async function receive(
  berthd: Berthd,
  method: "GET" | "HEAD",
  bytes: Bytes,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const sent = begin(berthd, method, pathOf(bytes), bytes.headers ?? {}, signal).end();
  const answer = await answerTo(sent, 200, 206, 304, 416);
  sent.setTimeout(silenceMs).on("timeout", () => {
    // If the reader is slow, the pod has to wait. Then the pod may send nothing for a long time.
    if (answer.isPaused() || answer.readableLength > 0) sent.setTimeout(silenceMs);
    else answer.destroy(new PodError("unreachable", `the pod sent nothing for ${silenceMs / 1_000} s`));
  });
  // The HTTP parser has its own copy of the received bytes, so the memory in which they arrived can be freed.
  const { socket } = answer.on("close", () => socket.off("data", giveBack));
  socket.on("data", giveBack);
  return answer;
}

/**
 * Sends the body at the speed at which the pod reads, and returns the pod's answer. If `body` fails, rethrows its error. In
 * this case the file in the pod stays as it was, but an archive may be unpacked in part.
 */
export async function send<T extends DescMessage>(
  berthd: Berthd,
  bytes: Bytes,
  body: Readable,
  answers: T,
  signal: AbortSignal,
): Promise<MessageShape<T>> {
  const sent = begin(berthd, "PUT", pathOf(bytes), bytes.headers ?? {}, signal);
  const lost = () => sent.destroy(new PodError("unreachable", "the pod does not store the upload"));
  sent.once("finish", () => sent.setTimeout(storeMs, lost));
  // An error may arrive before the end of the body. Then the rest is not sent.
  const answer = answerTo(sent, 200).then((one) => bytesOf(one, maxAnswerBytes));
  let unwatch = () => {};
  const cutOff = new Promise<never>((_, reject) => {
    unwatch = finished(body, { writable: false }, (error) => error && reject(error));
  });
  body.pipe(givingBack(sent));
  try {
    return parsed(answers, await Promise.race([answer, cutOff]));
  } finally {
    unwatch();
    body.unpipe(sent);
    if (!sent.writableFinished) sent.destroy();
  }
}

const pathOf = ({ of, query }: Bytes) => `/${of}?${new URLSearchParams(query)}`;

function parsed<T extends DescMessage>(schema: T, json: Buffer): MessageShape<T> {
  try {
    return fromJsonString(schema, json.toString(), { ignoreUnknownFields: true });
  } catch (error) {
    throw new PodError("broken", "the pod's answer has another form", { cause: error });
  }
}
