/** Serves the log of a session's agent: the log of the agent's container or, after the session's end, the stored last part. */
import { Readable } from "node:stream";
import { Inject, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { withoutTimes } from "../cluster/logTail.ts";
import { PodAccess } from "../cluster/podAccess.ts";
import { hasPod, isFinal, states } from "../domain/states/state.ts";
import { connectionOf } from "../queue/openConnections.ts";
import { KeptLogs } from "../store/keptLogs.ts";
import { SessionCommands } from "../store/sessionCommands.ts";
import { SessionQueries } from "../store/sessionQueries.ts";
import { Allow, Caller, type TenantCaller } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { found, IdParams, wholeNumber, YesOrNo } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Controller, Get, Param, Query } from "./http/routes.ts";
import { Streams } from "./http/streams.ts";
import { Describe } from "./openApi.ts";
import { podProblem } from "./podProblem.ts";

const LogsQuery = z.strictObject({
  follow: YesOrNo.default("false").meta({ description: "Whether to wait for new lines and send them too." }),
  tail: wholeNumber(0, 100_000, 1_000),
  timestamps: YesOrNo.default("false").meta({ description: "Whether each line begins with its time." }),
});
type LogsQuery = z.infer<typeof LogsQuery>;

@Controller("v1/sessions/:id/logs")
@UseGuards(CallerGuard)
export class LogsController {
  constructor(
    @Inject(SessionQueries) private readonly queries: SessionQueries,
    @Inject(SessionCommands) private readonly commands: SessionCommands,
    @Inject(KeptLogs) private readonly keptLogs: KeptLogs,
    @Inject(PodAccess) private readonly pods: PodAccess,
    @Inject(Streams) private readonly streams: Streams,
  ) {}

  @Get()
  @Allow("read")
  @Describe({
    summary:
      "The last lines of the agent's log, and new lines with follow=true; for some days after the session's end its last 64 KiB",
    answers: { 200: { description: "The log as it was written.", text: true } },
    refusals: {
      409: "The session has no pod now, so there is no log; or its stored log has been deleted.",
    },
  })
  async logs(
    @Caller() { tenant, actor }: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Query({ schema: LogsQuery }) { follow, tail, timestamps }: LogsQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const session = found(await this.queries.find(id, tenant.name), id);
    await this.commands.noteUse(
      id,
      tenant.name,
      "log",
      follow === "true" ? "follows the log" : "reads the log",
      actor,
      states,
    );
    if (isFinal(session.state)) {
      const log = await this.keptLogs.of(id);
      if (log === undefined)
        throw new Problem(409, `The session is ${session.state}, and its log is not stored any more.`);
      return sendText(reply, lastLines(timestamps === "true" ? log : withoutTimes(log), tail));
    }
    if (!hasPod(session.state)) {
      throw new Problem(409, `The session is ${session.state} and has no pod, so there is no log.`);
    }
    const signal = this.streams.open(tenant.name, reply);
    this.streams.list(reply, id, connectionOf(actor, "log"));
    const options = { follow: follow === "true", tail, timestamps: timestamps === "true" };
    const log = await this.pods.logs(session, options, signal).catch((error: unknown) => {
      throw podProblem(error, session, "log");
    });
    reply.header("connection", "close"); // the connection ends with the log, so a shutdown need not wait for it
    sendText(reply, Readable.from(untilEnded(log, signal), { objectMode: false }));
  }
}

/** The log until its end or until the signal aborts. If the caller loses its right, a last line says why. */
async function* untilEnded(log: Readable, signal: AbortSignal): AsyncGenerator<Buffer | string> {
  let lineEnd = "";
  try {
    for await (const chunk of log as AsyncIterable<Buffer>) {
      yield chunk;
      lineEnd = chunk.at(-1) === 10 ? "" : "\n";
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  if (signal.reason instanceof Problem) yield `${lineEnd}berth-api: the log ends here: ${signal.reason.body.detail}\n`;
}

function sendText(reply: FastifyReply, text: string | Readable): void {
  reply
    .type("text/plain; charset=utf-8")
    .header("x-content-type-options", "nosniff")
    .header("x-accel-buffering", "no")
    .send(text);
}

/** The last `count` lines, each with its line break. */
const lastLines = (text: string, count: number) =>
  count === 0 ? "" : (text.match(/[^\n]*\n|[^\n]+$/g) ?? []).slice(-count).join("");
