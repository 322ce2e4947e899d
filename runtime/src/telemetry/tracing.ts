/**
 * Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT says where to. Without it nothing of OpenTelemetry is loaded,
 * and all this does nothing.
 *
 * A request's trace goes on in the jobs that it makes: the job carries it through Redis to whatever worker takes it.
 */
import type { Tracing } from "./tracer.ts";

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
