/** What sessions use of their limits, now. */
import { Inject, UseGuards } from "@nestjs/common";
import { z } from "zod";
import type { GetMetricsResponse } from "../pod/gen/berth/v1/metrics_pb.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { IdParams } from "./http/input.ts";
import { Controller, Get, Param } from "./http/routes.ts";
import { Describe } from "./openApi.ts";
import { SessionPods } from "./sessionPods.ts";
import { timeText } from "./times.ts";

const bytes = (description?: string) => z.number().meta(description === undefined ? {} : { description });

const SessionMetricsJson = z
  .object({
    at: z.iso.datetime(),
    cpu: z.object({
      seconds: z.number().meta({ description: "CPU time since the container's start." }),
      limit: z.number().nullable().meta({ description: "CPUs; null where there is no limit." }),
    }),
    memory: z.object({
      bytes: bytes("Without the cache that can be given back."),
      cacheBytes: bytes(),
      limitBytes: z.number().nullable().meta({ description: "null where there is no limit." }),
    }),
    disks: z.array(z.object({ path: z.string(), usedBytes: bytes(), totalBytes: bytes() })),
    network: z.object({ receivedBytes: bytes("Of the pod, since its start."), sentBytes: bytes() }),
    processes: z.int(),
  })
  .meta({ id: "SessionMetrics" });
type SessionMetricsJson = z.infer<typeof SessionMetricsJson>;

@Controller("v1/sessions/:id/metrics")
@UseGuards(CallerGuard)
export class SessionMetricsController {
  constructor(@Inject(SessionPods) private readonly pods: SessionPods) {}

  @Get()
  @Allow("read")
  @Describe({
    summary: "What a session uses now of CPU, memory, disk and network",
    answers: { 200: { description: "The figures of the agent's container.", json: SessionMetricsJson } },
    refusals: {
      409: "The session is not running, or its pod is of a version without this service.",
      502: "The session's pod gave an answer that nobody understands.",
    },
  })
  async getSessionMetrics(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<SessionMetricsJson> {
    const session = await this.pods.look(id, caller);
    return metricsJson(await this.pods.ask(session, "metrics", ({ metrics }, options) => metrics.get({}, options)));
  }
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
