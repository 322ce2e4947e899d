/**
 * Runs, starts, lists, watches and controls programs in sessions, and describes two WebSockets (attach, exec) for the API's
 * description. The gateway handles the WebSockets themselves; see gateway/webSockets.ts.
 */
import { HttpCode, Inject, Res, UseGuards } from "@nestjs/common";
import type { FastifyReply } from "fastify";
import { z } from "zod";
import { listenTo } from "../berthd/listenTo.ts";
import { commandLine } from "../domain/commandLine.ts";
import { connectionOf } from "../queue/openConnections.ts";
import { Allow, Caller, type TenantCaller, webSocketRights } from "./access/caller.ts";
import { CallerGuard } from "./access/callerGuard.ts";
import { runCommand } from "./commandRun.ts";
import { ExecQuery } from "./execQuery.ts";
import { found, IdParams } from "./http/input.ts";
import { Problem } from "./http/problem.ts";
import { Body, Controller, Get, Headers, Param, Post, Query } from "./http/routes.ts";
import { type ServerSentEvent, sendEvents } from "./http/serverSentEvents.ts";
import { Streams } from "./http/streams.ts";
import { Describe, notAnUpgrade, upgraded } from "./openApi.ts";
import { processEvents } from "./processEvents.ts";
import {
  bytesOf,
  CommandBody,
  CommandJson,
  eventJson,
  InputBody,
  numberOf,
  ProcessBody,
  ProcessEventJson,
  ProcessJson,
  processJson,
  SignalBody,
  SizeBody,
  startRequest,
} from "./processJson.ts";
import { OutputQuery, ProcessParams } from "./processQuery.ts";
import { type RunningSession, SessionPods } from "./sessionPods.ts";
import { PUBLIC_URL } from "./tokens.ts";

const Position = z.object({
  "Last-Event-ID": z
    .string()
    .regex(/^\d{1,15}$/, "must be the id of an event")
    .optional()
    .meta({ description: "The last event that the client has; takes precedence over `offset`." }),
});
type Position = z.infer<typeof Position>;

const List = z.object({ items: z.array(ProcessJson) }).meta({ id: "Processes" });

/** The errors of every operation on programs. */
const refusals = {
  409: "The session is not running, or its pod's version lacks this service.",
  502: "The session's pod sent an invalid answer.",
};

@Controller("v1/sessions/:id")
@UseGuards(CallerGuard)
export class ProcessesController {
  constructor(
    @Inject(SessionPods) private readonly pods: SessionPods,
    @Inject(Streams) private readonly streams: Streams,
    @Inject(PUBLIC_URL) private readonly publicUrl: string,
  ) {}

  @Post("commands")
  @HttpCode(200)
  @Allow("write")
  @Describe({
    summary: "Run a program in the session and wait for its end; the program continues if the caller disconnects",
    answers: { 200: { description: "How the program ended, and its output.", json: CommandJson } },
    refusals,
  })
  async runCommandAndWait(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: CommandBody }) body: CommandBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<CommandJson> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "command", commandLine(body.command));
    this.streams.list(reply, id, connectionOf(caller.actor, "command"));
    return runCommand(this.pods, session, body, signal);
  }

  @Post("processes")
  @Allow("write")
  @Describe({
    summary: "Start a program in the session and leave it running",
    answers: {
      201: { description: "The program.", json: ProcessJson, headers: { Location: "The program's address." } },
    },
    refusals,
  })
  async startProcess(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
    @Body({ schema: ProcessBody }) body: ProcessBody,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ProcessJson> {
    const session = await this.pods.use(id, caller, "command", commandLine(body.command));
    const asked = { field: "command", missing: 400 } as const;
    const json = await this.pods.ask(
      session,
      "start",
      async ({ processes }) => {
        const events = listenTo((signal) => processes.start(startRequest(body), { signal }), never);
        for await (const { kind } of events) {
          if (kind.case === "started") return this.#find(session, kind.value.id);
        }
        throw new Problem(503, "The connection to the session's pod was lost. Check whether the program was started.");
      },
      asked,
    );
    reply.header("location", `${this.publicUrl}/v1/sessions/${id}/processes/${json.id}`);
    return json;
  }

  @Get("processes")
  @Allow("write")
  @Describe({
    summary: "List the session's programs that the API has started: running ones, and some that have ended",
    answers: { 200: { description: "All of them, oldest first.", json: List } },
    refusals,
  })
  async listProcesses(
    @Caller() caller: TenantCaller,
    @Param({ schema: IdParams }) { id }: IdParams,
  ): Promise<z.infer<typeof List>> {
    return { items: await this.#list(await this.pods.read(id, caller, "process", "lists the processes")) };
  }

  @Get("processes/:process")
  @Allow("write")
  @Describe({
    summary: "A program of the session",
    answers: { 200: { description: "The program.", json: ProcessJson } },
    refusals,
  })
  async getProcess(
    @Caller() caller: TenantCaller,
    @Param({ schema: ProcessParams }) { id, process }: ProcessParams,
  ): Promise<ProcessJson> {
    const session = await this.pods.read(id, caller, "process", `reads the state of the process ${process}`);
    return this.#find(session, process);
  }

  @Get("processes/:process/output")
  @Allow("write")
  @Describe({
    summary: "Watch a program: its output from a position on, and its end",
    answers: {
      200: {
        description: "One message per event: its id is the position after the event, its data is the event.",
        events: ProcessEventJson,
      },
    },
    refusals,
  })
  async followProcess(
    @Caller() caller: TenantCaller,
    @Param({ schema: ProcessParams }) { id, process }: ProcessParams,
    @Query({ schema: OutputQuery }) { offset }: OutputQuery,
    @Headers({ schema: Position }) { "Last-Event-ID": last = offset }: Position,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const signal = this.streams.open(caller.tenant.name, reply);
    const session = await this.pods.use(id, caller, "process", `watches the process ${process}`);
    this.streams.list(reply, id, connectionOf(caller.actor, "process", { process: String(process) }));
    const events = await processEvents(this.pods, session, process, BigInt(last), signal);
    sendEvents(reply, messages(events, last), signal);
  }

  @Post("processes/:process/input")
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary: "Send input to a program's stdin or terminal; close stdin if requested",
    answers: { 204: { description: "The program or the kernel has the input." } },
    refusals,
  })
  async sendInput(
    @Caller() caller: TenantCaller,
    @Param({ schema: ProcessParams }) { id, process }: ProcessParams,
    @Body({ schema: InputBody }) body: InputBody,
  ): Promise<void> {
    const data = bytesOf(body);
    const what = `sends ${data.length} bytes${body.end ? " and the end" : ""} to the process ${process}`;
    const session = await this.pods.use(id, caller, "process", what);
    await this.pods.ask(session, "input", async ({ processes }, options) => {
      if (data.length > 0) await processes.sendInput({ id: process, data }, options);
      if (body.end) await processes.closeStdin({ id: process }, options);
    });
  }

  @Post("processes/:process/signal")
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary: "Send a signal to a program and its process group",
    answers: { 204: { description: "Sent." } },
    refusals: { ...refusals, 409: "The program has ended, or the session is not running." },
  })
  async signalProcess(
    @Caller() caller: TenantCaller,
    @Param({ schema: ProcessParams }) { id, process }: ProcessParams,
    @Body({ schema: SignalBody }) { signal }: SignalBody,
  ): Promise<void> {
    const session = await this.pods.use(id, caller, "process", `sends ${signal} to the process ${process}`);
    await this.pods.ask(session, "signal", ({ processes }, options) =>
      processes.signal({ id: process, signal: numberOf(signal) }, options),
    );
  }

  @Post("processes/:process/resize")
  @HttpCode(204)
  @Allow("write")
  @Describe({
    summary: "Change the size of a program's terminal",
    answers: { 204: { description: "Done." } },
    refusals: { ...refusals, 409: "The program has no terminal, or the session is not running." },
  })
  async resizeProcess(
    @Caller() caller: TenantCaller,
    @Param({ schema: ProcessParams }) { id, process }: ProcessParams,
    @Body({ schema: SizeBody }) size: SizeBody,
  ): Promise<void> {
    const session = await this.pods.read(id, caller, "process", `resizes the terminal of the process ${process}`);
    await this.pods.ask(session, "resize", ({ processes }, options) =>
      processes.resize({ id: process, size }, options),
    );
  }

  @Get("processes/:process/attach")
  @Allow(...webSocketRights.attach)
  @Describe({
    summary: "Attach to a program by a WebSocket: its output from a position on, its input and its terminal",
    answers: upgraded(
      "The program, see docs/commands-and-files.md. Close codes: 1000 the program has ended, 1012 attach again, 4400 not understood, 4401 the key is no longer valid, 4403 a user closed the connection through the API, 4429 too many (a browser gets it in place of the status 429), 4502 the pod was lost.",
    ),
    refusals: { ...notAnUpgrade, 409: "The session is not running." },
  })
  attachToProcess(
    @Param({ schema: ProcessParams }) _params: ProcessParams,
    @Query({ schema: OutputQuery }) _query: OutputQuery,
  ): never {
    throw new Problem(426, "Attaching to a program needs a WebSocket: connect with an Upgrade.");
  }

  @Get("exec")
  @Allow(...webSocketRights.exec)
  @Describe({
    summary:
      "Run a command in the agent's container, as a WebSocket (v5.channel.k8s.io), where the tenant's config allows it",
    answers: upgraded(
      "The command: the first byte of each message is its channel, as in Kubernetes' own protocol. Close codes: 1012 the API restarts, 4400 not understood, 4401 the key is no longer valid, 4403 a user closed the connection through the API, 4429 too many (a browser gets it in place of the status 429), 4502 the pod was lost.",
    ),
    refusals: { ...notAnUpgrade, 409: "The session is not running, or its pod's version lacks this service." },
  })
  runCommand(
    @Param({ schema: IdParams }) _params: IdParams,
    @Query({ schema: ExecQuery }) _query: z.infer<typeof ExecQuery>,
  ): never {
    throw new Problem(426, "A command is a WebSocket: connect with an Upgrade.");
  }

  async #list(session: RunningSession): Promise<ProcessJson[]> {
    const { processes } = await this.pods.ask(session, "list", ({ processes }, options) => processes.list({}, options));
    return processes.map(processJson);
  }

  async #find(session: RunningSession, process: bigint): Promise<ProcessJson> {
    const all = await this.#list(session);
    return found(
      all.find(({ id }) => BigInt(id) === process),
      String(process),
      "process",
    );
  }
}

const never = new AbortController().signal;

/** The events, each with the position after it; null for a heartbeat. */
async function* messages(
  events: Awaited<ReturnType<typeof processEvents>>,
  begin: string,
): AsyncGenerator<ServerSentEvent | null> {
  let position = BigInt(begin);
  for await (const event of events) {
    const { kind } = event;
    if (kind.case === "data") position = kind.value.offset + BigInt(kind.value.data.length);
    const data = eventJson(event);
    yield data === undefined ? null : { id: String(position), data };
  }
}
