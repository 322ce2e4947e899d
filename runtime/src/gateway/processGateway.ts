/**
 * Connects a client to a program of a session by WebSocket: GET /v1/sessions/:id/processes/:process/attach?offset=0.
 *
 * From the program: text messages are events in JSON, the same as in Server-Sent Events. Output is sent as binary
 * messages: the first byte is 1 for stdout, 2 for stderr or 3 for pty, and the output follows. The offset for the next attach
 * is the offset of the last `position` event plus the number of output bytes that came after that event. The first byte of
 * each message does not count.
 *
 * To the program: binary messages are input. Text messages in JSON are {"type":"resize","columns":80,"rows":24},
 * {"type":"signal","signal":"SIGINT"} and {"type":"end"}, which closes stdin.
 */
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { z } from "zod";
import type { Access } from "../api/access/access.ts";
import { webSocketRights } from "../api/access/caller.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { processEvents } from "../api/processEvents.ts";
import { eventJson, numberOf, SignalBody, SizeBody } from "../api/processJson.ts";
import { OutputQuery, processId } from "../api/processQuery.ts";
import { serviceProblem } from "../api/serviceProblem.ts";
import type { RunningSession, SessionPods } from "../api/sessionPods.ts";
import type { ProcessEvent } from "../berthd/gen/berth/v1/process_pb.ts";
import { connectionOf } from "../queue/openConnections.ts";
import { closeWith, highWaterBytes, keepAlive, notUnderstoodCode } from "./bridge.ts";
import { inOrder } from "./inOrder.ts";
import { perSession, perTenant } from "./socketLimits.ts";
import { type Admitted, lostPodCode, type SessionSocket, type UpgradeRequest } from "./webSockets.ts";

const Control = z.discriminatedUnion("type", [
  SizeBody.extend({ type: z.literal("resize") }),
  SignalBody.extend({ type: z.literal("signal") }),
  z.strictObject({ type: z.literal("end") }),
]);

export interface ProcessGatewayOptions {
  access: Pick<Access, "admit">;
  pods: SessionPods;
  logger: Logger;
}

/** The program's events, and what is needed to send input to the program. */
interface Attached {
  session: RunningSession;
  process: bigint;
  events: AsyncGenerator<ProcessEvent>;
  /** Is aborted when the client has disconnected. */
  gone: AbortSignal;
}

export class ProcessGateway implements SessionSocket {
  readonly name = "processes/attach";
  readonly protocols = [];

  constructor(private readonly options: ProcessGatewayOptions) {}

  async admit({ sessionId, subId = "", query, authorization, address }: UpgradeRequest): Promise<Admitted> {
    const { access, pods } = this.options;
    const caller = await access.admit({ authorization, address }, webSocketRights.attach);
    const process = processId.safeParse(subId);
    if (!process.success) throw invalidInput([{ path: ["process"], message: process.error.issues[0]?.message }]);
    const parsed = OutputQuery.safeParse(Object.fromEntries(query));
    if (!parsed.success) throw invalidInput(parsed.error.issues, "query");
    await pods.findRunning(sessionId, caller);
    return {
      limits: [perSession(sessionId, "exec"), perTenant(caller.tenant)],
      credential: caller.credential,
      info: connectionOf(caller.actor, "process", { process: String(process.data) }),
      open: async (gone) => {
        const session = await pods.use(sessionId, caller, "process", `is attached to the process ${process.data}`);
        const events = await processEvents(pods, session, process.data, BigInt(parsed.data.offset), gone);
        return (client) => this.#serve(client, { session, process: process.data, events, gone });
      },
    };
  }

  #serve(client: WebSocket, attached: Attached): void {
    keepAlive(client);
    this.#takeInput(client, attached);
    const { logger } = this.options;
    show(client, attached.events).then(
      () => closeWith(client, 1000, ""),
      (error: unknown) => {
        if (!(error instanceof Problem)) logger.error({ err: error }, "the events of a program can't be read any more");
        closeWith(client, lostPodCode, error instanceof Problem ? error.body.detail : "Something went wrong.");
      },
    );
  }

  /** Forwards input and the end of input in order. Forwards signals and resizes at once, even while input waits. */
  #takeInput(client: WebSocket, { session, process: id, gone }: Attached): void {
    const { processes } = this.options.pods.services.of(session);
    const options = { signal: gone };
    const refuse = (error: unknown) => {
      const problem = serviceProblem(error);
      if (gone.aborted) return;
      const detail = problem instanceof Problem ? problem.body.detail : "Something went wrong.";
      client.send(JSON.stringify({ type: "refused", detail }));
    };
    const later = inOrder(client, refuse);
    client.on("message", (received: Buffer, isBinary) => {
      if (client.readyState !== WebSocket.OPEN) return;
      if (isBinary) return later(received.length, () => processes.sendInput({ id, data: received }, options));
      const control = controlOf(received);
      if (control === undefined)
        return closeWith(client, notUnderstoodCode, "A text message must be resize, signal or end in JSON.");
      if (control.type === "end") return later(0, () => processes.closeStdin({ id }, options));
      const { type } = control;
      const done =
        type === "resize"
          ? processes.resize({ id, size: { columns: control.columns, rows: control.rows } }, options)
          : processes.signal({ id, signal: numberOf(control.signal) }, options);
      done.catch(refuse);
    });
  }
}

function controlOf(text: Buffer): z.infer<typeof Control> | undefined {
  try {
    return Control.safeParse(JSON.parse(text.toString())).data;
  } catch {
    return undefined;
  }
}

/** Sends the program's events to the client until the program ends, no faster than the client reads. */
async function show(client: WebSocket, events: AsyncGenerator<ProcessEvent>): Promise<void> {
  let position: bigint | undefined;
  for await (const event of events) {
    if (client.readyState !== WebSocket.OPEN) return;
    const { kind } = event;
    if (kind.case !== "data") {
      const json = eventJson(event);
      if (json !== undefined) client.send(JSON.stringify(json));
      continue;
    }
    const { stream, offset, data, dropped } = kind.value;
    if (offset !== position) {
      client.send(JSON.stringify({ type: "position", offset: Number(offset), dropped: Number(dropped) }));
    }
    position = offset + BigInt(data.length);
    const sent = new Promise<void>((resolve) => {
      client.send(Buffer.concat([Buffer.of(stream), data]), () => resolve());
    });
    if (client.bufferedAmount > highWaterBytes) await sent;
  }
}
