/** Sends answers as Server-Sent Events. */
import { Readable } from "node:stream";
import type { FastifyReply } from "fastify";
import { Problem } from "./problem.ts";

/** After how many milliseconds without an event a comment line is sent, so that proxies don't close the connection as idle. */
export const heartbeatMs = 15_000;

export interface ServerSentEvent {
  /** The id that a client sends as Last-Event-ID after it was disconnected. */
  id: string;
  data: unknown;
}

/**
 * Sends the events; null is sent as a heartbeat. If the generator throws a Problem, or the signal's reason is a Problem, the
 * last event has the type `problem` and contains the Problem.
 */
export function sendEvents(
  reply: FastifyReply,
  events: AsyncGenerator<ServerSentEvent | null>,
  signal?: AbortSignal,
): void {
  reply
    .type("text/event-stream")
    .header("connection", "close") // the connection ends with the stream, so a shutdown need not wait for it
    .header("x-accel-buffering", "no") // without this, nginx would buffer the events
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
