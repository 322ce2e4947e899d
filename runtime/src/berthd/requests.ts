/** Requests to berthd in a session's pod: HTTP/1.1 with the session's token, and errors in the form of Connect. */
import { once } from "node:events";
import { type Agent, type ClientRequest, type IncomingMessage, type OutgoingHttpHeaders, request } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";
import { tracing } from "../telemetry/tracing.ts";
import { PodError } from "./podError.ts";

/** The address of a session's berthd. */
export interface Berthd {
  /** The pod's IP address. */
  host: string;
  port: number;
  token: string;
  agent: Agent;
}

/** Maximum number of bytes of an answer that reports an error. */
const maxRefusalBytes = 64 * 1024;

/** Begins a request. The signal aborts the request. */
export function begin(
  { host, port, token, agent }: Berthd,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  signal: AbortSignal | undefined,
): ClientRequest {
  const authorized = { ...headers, ...tracing().headers(), authorization: `Bearer ${token}` };
  const sent = request({ host, port, path, method, agent, headers: authorized, ...(signal && { signal }) });
  // The promise of `answerTo` reports an error to its caller. Without this listener, an error while nobody awaits the promise
  // would end the process.
  return sent.on("error", () => {});
}

/**
 * Waits for an answer with one of the statuses. If no answer comes, or an answer with another status, throws an error that
 * podErrorOf knows.
 */
export async function answerTo(sent: ClientRequest, ...statuses: number[]): Promise<IncomingMessage> {
  const [answer] = (await once(sent, "response")) as [IncomingMessage];
  answer.on("error", () => {}); // without a listener, an error would end the process
  const { statusCode: status = 0, headers } = answer;
  if (statuses.includes(status)) return answer;
  if (headers["content-type"] === "application/json") throw await refusalOf(answer);
  answer.destroy();
  if (status === 412) throw new PodError("changed", "the file does not have the ETag of If-Match");
  throw new PodError(status === 404 ? "absent" : "broken", `the pod answered with the status ${status}`);
}

async function refusalOf(answer: IncomingMessage): Promise<ConnectError> {
  const json = jsonOf(await bytesOf(answer, maxRefusalBytes));
  const metadata = Object.entries(answer.headers).flatMap(([name, value]) =>
    name.startsWith("berth-") && typeof value === "string" ? [[name, value] as [string, string]] : [],
  );
  return errorFromJson(json, metadata, new ConnectError("the pod's error has an unknown form", Code.Internal));
}

/** The whole body of the answer. Throws a PodError if it has more than `most` bytes. */
export async function bytesOf(answer: IncomingMessage, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most) throw new PodError("broken", `the pod's answer has more than ${most} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
}

function jsonOf(bytes: Buffer) {
  try {
    return JSON.parse(bytes.toString());
  } catch (error) {
    throw new PodError("broken", "the pod's answer is no JSON", { cause: error });
  }
}
