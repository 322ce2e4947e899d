/**
 * A client for Connect over HTTP/1.1. Each call sends one message, and the whole request in one write, because the cost of the
 * call is a large part of the time of a short command. The client of the Connect library sends headers and body in several
 * writes.
 */
import type { IncomingMessage } from "node:http";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescMethodStreaming,
  type DescMethodUnary,
  type DescService,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type CallOptions, type Client, makeAnyClient } from "@connectrpc/connect";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { PodError } from "./podError.ts";
import { answerTo, type Berthd, begin, bytesOf } from "./requests.ts";

/** Maximum number of bytes of an answer with one message. A page of 1000 files with long paths must fit. */
const maxAnswerBytes = 16 * 1024 * 1024;

/** Maximum number of bytes of a message of a stream. */
const maxMessageBytes = 1024 * 1024;

/** Number of bytes before each message of a stream: one byte of flags, four bytes with the message's length. */
const headBytes = 5;

/** The flags of the last message of a stream. This message is JSON. */
const isEnd = 2;

/** The last message of a stream that ended without an error. */
const goodEnd = Buffer.from("{}");

/** A client for one of berthd's services. Methods that stream messages to the pod are left out. */
export function podClient<T extends DescService>(service: T, berthd: Berthd): Client<T> {
  const call = (method: DescMethodUnary | DescMethodStreaming) => {
    if (method.methodKind === "unary") {
      return async (input: MessageInitShape<DescMessage>, options?: CallOptions) => {
        const message = toBinary(method.input, create(method.input, input));
        const answer = await post(berthd, method, "application/proto", message, options);
        return decoded(method.output, await bytesOf(answer, maxAnswerBytes));
      };
    }
    if (method.methodKind !== "server_streaming") return null;
    return async function* (input: MessageInitShape<DescMessage>, options?: CallOptions) {
      const message = enveloped(toBinary(method.input, create(method.input, input)));
      const answer = await post(berthd, method, "application/connect+proto", message, options);
      yield* messagesOf(answer, method.output);
    };
  };
  return makeAnyClient(service, call) as Client<T>;
}

function post(
  berthd: Berthd,
  { parent, name }: DescMethod,
  contentType: string,
  body: Uint8Array,
  { signal, timeoutMs }: CallOptions = {},
): Promise<IncomingMessage> {
  const headers = {
    "content-type": contentType,
    "content-length": body.length,
    "connect-protocol-version": "1",
    ...(timeoutMs !== undefined && { "connect-timeout-ms": timeoutMs }),
  };
  const sent = begin(berthd, "POST", `/${parent.typeName}/${name}`, headers, signal);
  if (timeoutMs !== undefined) {
    const late = () => sent.destroy(new PodError("unreachable", `the pod did not answer within ${timeoutMs} ms`));
    const timer = setTimeout(late, timeoutMs);
    sent.once("close", () => clearTimeout(timer));
  }
  return answerTo(sent.end(body), 200);
}

function enveloped(message: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The messages of a streamed answer. Throws the error in the last message, if there is one. */
async function* messagesOf<T extends DescMessage>(answer: IncomingMessage, schema: T): AsyncGenerator<MessageShape<T>> {
  let bytes: Buffer = Buffer.alloc(0);
  let isOver = false;
  // The body is read to its end, because otherwise Node closes the connection instead of using it again.
  for await (const piece of answer as AsyncIterable<Buffer>) {
    bytes = bytes.length === 0 ? piece : Buffer.concat([bytes, piece]);
    while (bytes.length >= headBytes) {
      const end = headBytes + bytes.readUInt32BE(1);
      if (end > maxMessageBytes) throw new PodError("broken", `a message has ${end} bytes`);
      if (bytes.length < end) break;
      const message = bytes.subarray(headBytes, end);
      if (bytes[0] !== isEnd) yield decoded(schema, message);
      else {
        if (!message.equals(goodEnd)) throwErrorOf(message);
        isOver = true;
      }
      bytes = bytes.subarray(end);
    }
  }
  if (!isOver) throw new PodError("unreachable", "the pod's answer was cut off");
}

function throwErrorOf(end: Uint8Array): void {
  const { error } = endStreamFromJson(end);
  if (error !== undefined) throw error;
}

function decoded<T extends DescMessage>(schema: T, message: Uint8Array): MessageShape<T> {
  try {
    return fromBinary(schema, message);
  } catch (error) {
    throw new PodError("broken", `the pod sent no ${schema.typeName}`, { cause: error });
  }
}
