/** The interface for tracing, whether tracing is on or off. */
import type { IncomingHttpHeaders } from "node:http";
import type { Telemetry } from "bullmq";

export type Attributes = Record<string, string | number>;

/** One HTTP request, from its headers to its answer. */
export interface RequestTrace {
  /** Runs a part of the request's handling within its trace. */
  within: <T>(work: () => T) => T;
  end: (attributes: Attributes) => void;
}

export interface Tracing {
  /** Options for BullMQ's queues and workers. */
  jobs: { telemetry?: Telemetry };
  /** Starts a request's span. If the headers name a trace, the span continues that trace. Undefined: tracing is off. */
  request: (name: string, headers: IncomingHttpHeaders) => RequestTrace | undefined;
  /** Runs the work in a new span. The span says whether the work failed. */
  span: <T>(name: string, attributes: Attributes, work: () => Promise<T>) => Promise<T>;
  /** Adds a span for work that has just ended and took `ms` milliseconds. */
  past: (name: string, attributes: Attributes, ms: number) => void;
  /** Headers for a call to another process. With these headers, the other process continues the current trace. */
  headers: () => Record<string, string>;
  /** The id of the current trace, for the log. Undefined: there is no trace. */
  traceId: () => string | undefined;
  /** Sends the remaining spans. */
  stop: () => Promise<void>;
}
