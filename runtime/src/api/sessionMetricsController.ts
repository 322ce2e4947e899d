/** Serves how much CPU, memory, disk and network a session uses now or has used over time. */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import type { GetMetricsResponse } from "../berthd/gen/berth/v1/metrics_pb.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { found, IdParams } from "./http/input.ts";
import { invalidInput, Problem } from "./http/problem.ts";
import { Controller, Get, Param, Query } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { mostPoints, SessionHistory, type Span } from "./sessionHistory.ts";
import { SessionPods } from "./sessionPods.ts";
import { timeText } from "./times.ts";

const bytes = (description?: string) => z.number().meta(description === undefined ? {} : { description });

const fileSystems =
  "The file systems of the workspace and of /tmp. Of a folder on the node's disk (/tmp, an ephemeral workspace, a local volume), this is the node's whole disk.";

const SessionMetricsJson = z
  .object({
    at: z.iso.datetime(),
    cpu: z.object({
      seconds: z.number().meta({ description: "CPU time since the container started." }),
      limit: z.number().nullable().meta({ description: "The limit in CPUs; null if there is no limit." }),
    }),
    memory: z.object({
      bytes: bytes("Memory in use, without the cache that the kernel can free."),
      cacheBytes: bytes(),
      limitBytes: z.number().nullable().meta({ description: "The limit in bytes; null if there is no limit." }),
    }),
    disks: z
      .array(z.object({ path: z.string(), usedBytes: bytes(), totalBytes: bytes() }))
      .meta({ description: fileSystems }),
    network: z.object({ receivedBytes: bytes("Bytes of the pod since its start."), sentBytes: bytes() }),
    processes: z.int(),
  })
  .meta({ id: "SessionMetrics" });
type SessionMetricsJson = z.infer<typeof SessionMetricsJson>;

const figure = (description: string) => z.number().nullable().meta({ description });

const SessionMetricsHistoryJson = z
  .object({
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    stepSeconds: z.int(),
    points: z
      .array(
        z.object({
          at: z.iso.datetime(),
          cpus: figure("The mean number of CPUs in use."),
          memoryBytes: figure("The maximum of memory in use, without the cache that the kernel can free."),
          disks: z
            .array(z.object({ path: z.string(), usedBytes: bytes("The maximum number of bytes in use.") }))
            .meta({ description: fileSystems }),
          network: z.object({
            receivedBytesPerSecond: figure("The mean number of bytes that the pod received per second."),
            sentBytesPerSecond: figure("The mean number of bytes that the pod sent per second."),
          }),
          processes: figure("The maximum number of processes."),
        }),
      )
      .meta({
        description:
          "Oldest first. Each point describes the step before it, but at least the two minutes before it. Points without a value are left out, because the session had no pod then.",
      }),
  })
  .meta({ id: "SessionMetricsHistory" });
type SessionMetricsHistoryJson = z.infer<typeof SessionMetricsHistoryJson>;

const time = z.iso.datetime({ offset: true, error: "must be a time as 2026-11-29T12:00:00Z" });
const [leastStep, mostStep] = [30, 86_400];
const stepRule = `must be a whole number of seconds from ${leastStep} to ${mostStep}`;

const MetricsQuery = z.strictObject({
  from: time.optional().meta({
    description:
      "The time of the first point. Without `from`, the answer has the metrics of this moment only; `to` and `step` need `from`.",
  }),
  to: time.optional().meta({ description: "The time of the last point. Default: now." }),
  step: z
    .string()
    .regex(/^\d{1,5}$/, stepRule)
    .transform(Number)
    .refine((seconds) => seconds >= leastStep && seconds <= mostStep, stepRule)
    .optional()
    .meta({
      description: `The seconds between two points. An answer has at most ${mostPoints} points. Default 60.`,
      override: { type: "integer", minimum: leastStep, maximum: mostStep, default: 60 },
    }),
});
type MetricsQuery = z.infer<typeof MetricsQuery>;

@Controller("v1/sessions/:id/metrics")
@UseGuards(CallerGuard)
export class SessionMetricsController {
  constructor(
    @Inject(SessionPods) private readonly pods: SessionPods,
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(SessionHistory) private readonly history: SessionHistory | null,
  ) {}

  @Get()
  @Allow("read")
  @Describe({
    summary: "The CPU, memory, disk and network that a session uses now or, with `from`, used over time",
    answers: {
      200: {
        description:
          "Without `from`: the metrics of the agent's container now. With `from`: the metrics of that time, also of a session that has ended, as long as the platform keeps them.",
        json: z.union([SessionMetricsJson, SessionMetricsHistoryJson]),
      },
    },
    refusals: {
      409: "Without `from`: the session is not running, or its pod's version lacks this service. With `from`: the stack records no metrics over time (`prometheus.sessionHistory: false`).",
      502: "The session's pod sent an invalid answer.",
    },
  })
  async getSessionMetrics(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: MetricsQuery }) query: MetricsQuery,
  ): Promise<SessionMetricsJson | SessionMetricsHistoryJson> {
    const span = spanOf(query);
    if (span !== undefined) return this.#overTime(id, caller, span);
    const session = await this.pods.findRunning(id, caller);
    return metricsJson(await this.pods.ask(session, "metrics", ({ metrics }, options) => metrics.get({}, options)));
  }

  async #overTime(id: string, { tenant }: TenantCaller, span: Span): Promise<SessionMetricsHistoryJson> {
    const session = found(await this.queries.find(id, tenant.name), id);
    if (this.history === null) {
      throw new Problem(
        409,
        "Metrics over time are not kept here: the stack's config has prometheus.sessionHistory: false.",
      );
    }
    const points = await this.history.of(session, span);
    const text = (seconds: number) => new Date(seconds * 1000).toISOString();
    return { from: text(span.from), to: text(span.to), stepSeconds: span.step, points };
  }
}

/** Returns the span in whole seconds; undefined if the query asks for the present metrics. Throws a 400. */
function spanOf({ from, to, step }: MetricsQuery): Span | undefined {
  const refuse = (path: string, message: string) => invalidInput([{ path: [path], message }]);
  if (from === undefined) {
    if (to === undefined && step === undefined) return undefined;
    throw refuse("from", "must be given with to or step");
  }
  const seconds = (text: string) => Math.floor(Date.parse(text) / 1000);
  const span = {
    from: seconds(from),
    to: to === undefined ? Math.floor(Date.now() / 1000) : seconds(to),
    step: step ?? 60,
  };
  if (span.from > span.to) throw refuse("from", "must not be after to");
  const least = Math.ceil((span.to - span.from) / (mostPoints - 1));
  if (least > mostStep) throw refuse("from", `must be at most ${mostPoints - 1} days before to`);
  if (span.step < least) throw refuse("step", `must be at least ${least}: an answer has ${mostPoints} points at most`);
  return span;
}

export function metricsJson(found: GetMetricsResponse): SessionMetricsJson {
  return {
    at: timeText(found.at),
    cpu: { seconds: Number(found.cpuNanoseconds) / 1e9, limit: found.cpuLimit || null },
    memory: {
      bytes: Number(found.memoryBytes),
      cacheBytes: Number(found.memoryCacheBytes),
      limitBytes: Number(found.memoryLimitBytes) || null,
    },
    disks: found.disks.map(({ path, usedBytes, totalBytes }) => ({
      path,
      usedBytes: Number(usedBytes),
      totalBytes: Number(totalBytes),
    })),
    network: { receivedBytes: Number(found.networkReceivedBytes), sentBytes: Number(found.networkSentBytes) },
    processes: found.processes,
  };
}
