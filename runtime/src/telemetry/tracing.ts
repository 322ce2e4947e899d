/**
 * Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says where to. Without it nothing of OpenTelemetry is loaded,
 * and all this does nothing.
 *
 * A request's trace goes on in the jobs that it makes: the job carries it through Redis to whatever worker takes it.
 */
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

const off: Tracing = {
  jobs: {},
  request: () => undefined,
  span: (_name, _attributes, work) => work(),
  past: () => {},
  traceId: () => undefined,
  stop: async () => {},
};

let current = off;

/** This process's tracing. */
export const tracing = (): Tracing => current;

/** To be called before anything that is traced is made. `endpoint` undefined: tracing stays off. */
export async function startTracing(endpoint: string | undefined, role: string): Promise<void> {
  if (endpoint === undefined) return;
  const { startOpenTelemetry } = await import("./openTelemetry.ts");
  current = startOpenTelemetry(role);
}
