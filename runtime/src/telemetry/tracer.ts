/** What the program asks of tracing, be it on or off. */
import type { IncomingHttpHeaders } from "node:http";
import type { Telemetry } from "bullmq";

export type Attributes = Record<string, string | number>;

/** One HTTP request, from its headers to its answer. */
export interface RequestTrace {
  /** Runs a part of its handling within its trace. */
  within: (work: () => void) => void;
  end: (attributes: Attributes) => void;
}

export interface Tracing {
  /** Options for BullMQ's queues and workers. */
  jobs: { telemetry?: Telemetry };
  /** Begins a request's span; the caller's trace goes on if its headers name one. Undefined: tracing is off. */
  request: (name: string, headers: IncomingHttpHeaders) => RequestTrace | undefined;
  /** Runs the work in a span of its own, which tells whether it failed. */
  span: <T>(name: string, attributes: Attributes, work: () => Promise<T>) => Promise<T>;
  /** A span for what has ended just now and took so many milliseconds. */
  past: (name: string, attributes: Attributes, ms: number) => void;
  /** The trace that is running, for the log. */
  traceId: () => string | undefined;
  /** Sends what hasn't been sent yet. */
  stop: () => Promise<void>;
}
