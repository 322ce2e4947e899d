/**
 * Traces with OpenTelemetry, if OTEL_EXPORTER_OTLP_ENDPOINT is set. Without this variable, OpenTelemetry's SDK is not
 * loaded, and the functions of the tracer only run the given work.
 *
 * A request's trace continues in the jobs that the request creates: the job carries the trace through Redis to the
 * worker.
 */
import type { Tracing } from "./tracer.ts";

const off: Tracing = {
  jobs: {},
  request: () => undefined,
  span: (_name, _attributes, work) => work(),
  past: () => {},
  headers: () => ({}),
  traceId: () => undefined,
  stop: async () => {},
};

let current = off;

/** The tracer of this process. */
export const tracing = (): Tracing => current;

/**
 * Starts tracing. Must be called before BullMQ's queues and workers are created, because they get the tracer when they are
 * created. `endpoint` undefined: tracing stays off.
 */
export async function startTracing(endpoint: string | undefined, role: string): Promise<void> {
  if (endpoint === undefined) return;
  const { startOpenTelemetry } = await import("./openTelemetry.ts");
  current = startOpenTelemetry(role);
}
