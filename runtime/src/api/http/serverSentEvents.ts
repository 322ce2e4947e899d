/** Answers as Server-Sent Events. */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { Problem } from "./problem.ts";

/** How often a line is sent when nothing happens, so that no proxy on the way thinks the connection dead. */
export const heartbeatMs = 15_000;

export interface ServerSentEvent {
  /** What a reader that was cut off names as Last-Event-ID. */
  id: string;
  data: unknown;
}

/**
 * Sends the events; null is a sign of life. Where the signal or the events themselves end with a Problem, that is the last
 * message, of the type `problem`.
 */
export function sendEvents(
  reply: FastifyReply,
  events: AsyncGenerator<ServerSentEvent | null>,
  signal?: AbortSignal,
): void {
  reply
    .type("text/event-stream")
    .header("connection", "close") // when a shutdown ends the stream, no connection is left to wait for
    .header("x-accel-buffering", "no") // nginx would keep the events back
    .send(Readable.from(messages(events, signal), { objectMode: false }));
}

async function* messages(events: AsyncGenerator<ServerSentEvent | null>, signal?: AbortSignal): AsyncGenerator<string> {
  let problem: unknown;
  yield "retry: 2000\n\n";
  try {
    for await (const event of events) {
      yield event === null ? ":\n\n" : `id: ${event.id}\ndata: ${JSON.stringify(event.data)}\n\n`;
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    problem = error;
  }
  if (signal?.aborted) problem = signal.reason;
  if (problem instanceof Problem) yield `event: problem\ndata: ${JSON.stringify(problem.body)}\n\n`;
}
