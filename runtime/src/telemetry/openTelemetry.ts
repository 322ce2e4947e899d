/**
 * Implements tracing with OpenTelemetry. Only this file imports OpenTelemetry. The exporter reads the variables
 * OTEL_EXPORTER_OTLP_* itself.
 */
import { type Context, context, propagation, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { getNumberFromEnv, W3CTraceContextPropagator } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { BullMQOtel } from "bullmq-otel";
import type { Tracing } from "./tracer.ts";

const name = "berth";

export function startOpenTelemetry(role: string): Tracing {
  // BatchSpanProcessor doesn't read the variable OTEL_BSP_SCHEDULE_DELAY itself.
  const delay = getNumberFromEnv("OTEL_BSP_SCHEDULE_DELAY");
  const provider = new TracerProvider({
    // The variables OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override these values.
    resource: defaultResource()
      .merge(resourceFromAttributes({ "service.name": `berth-${role}`, "service.namespace": "berth" }))
      .merge(detectResources({ detectors: [envDetector] })),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: new OTLPTraceExporter(),
        ...(delay !== undefined && { scheduledDelayMillis: delay }),
      }),
    ],
  });
  trace.setGlobalTracerProvider(provider);
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const tracer = provider.getTracer(name);

  return {
    jobs: { telemetry: new BullMQOtel({ tracerName: name }) },
    request(title, headers) {
      const parent = propagation.extract(context.active(), headers);
      const span = tracer.startSpan(title, { kind: SpanKind.SERVER }, parent);
      const within: Context = trace.setSpan(parent, span);
      return {
        within: (work) => context.with(within, work),
        end(attributes) {
          span.setAttributes(attributes);
          if (Number(attributes["http.response.status_code"]) >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
    span: (title, attributes, work) =>
      tracer.startActiveSpan(title, { kind: SpanKind.CLIENT, attributes }, (span) => finishing(span, work)),
    past(title, attributes, ms) {
      const now = Date.now();
      tracer.startSpan(title, { kind: SpanKind.CLIENT, attributes, startTime: now - ms }).end(now);
    },
    headers() {
      const headers: Record<string, string> = {};
      propagation.inject(context.active(), headers);
      return headers;
    },
    traceId: () => trace.getActiveSpan()?.spanContext().traceId,
    stop: () => provider.shutdown(),
  };
}

async function finishing<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    // Only the error's name, because its message may contain secrets.
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : "error" });
    throw error;
  } finally {
    span.end();
  }
}
