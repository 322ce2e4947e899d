/**
 * A program of a session as a WebSocket: GET /v1/sessions/:id/processes/:process/attach?offset=0.
 *
 * From the program: texts are events in JSON, as Server-Sent Events have them, but for the output itself, which comes as
 * bytes: 1 stdout, 2 stderr or 3 pty, and then what was written. The bytes of output since the event `position` add up to the
 * position by which one attaches again.
 *
 * To the program: bytes are its input. Texts in JSON are {"type":"resize","columns":80,"rows":24},
 * {"type":"signal","signal":"SIGINT"} and {"type":"end"}, which closes stdin.
 */
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { z } from "zod";
import type { Access } from "../api/access/access.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { processEvents } from "../api/processEvents.ts";
import { eventJson, numberOf, SignalBody, SizeBody } from "../api/processJson.ts";
import { OutputQuery, processId } from "../api/processQuery.ts";
import { serviceProblem } from "../api/serviceProblem.ts";
import type { RunningSession, SessionPods } from "../api/sessionPods.ts";
import type { ProcessEvent } from "../pod/gen/berth/v1/process_pb.ts";
import { connectionOf } from "../queue/openConnections.ts";
import { closeWith, highWaterBytes, keepAlive, notUnderstoodCode } from "./bridge.ts";
import { inOrder } from "./inOrder.ts";
import { perSession, perTenant } from "./socketLimits.ts";
import type { Admitted, Gateway, UpgradeRequest } from "./webSockets.ts";

/** The close code for a program whose pod was lost: attach again. */
const lostPodCode = 4502;

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

/** What is served: a program's events, and the way to the program. */
interface Attached {
  session: RunningSession;
  process: bigint;
  events: AsyncGenerator<ProcessEvent>;
  /** Comes when the client has gone. */
  gone: AbortSignal;
}

export class ProcessGateway implements Gateway {
  readonly name = "processes/attach";
  readonly protocols = [];

  constructor(private readonly options: ProcessGatewayOptions) {}

  async admit({ sessionId, part = "", query, authorization, address }: UpgradeRequest): Promise<Admitted> {
    const { access, pods } = this.options;
    const caller = await access.admit({ authorization, address }, ["write"]);
    const process = processId.safeParse(part);
    if (!process.success) throw invalidInput([{ path: ["process"], message: process.error.issues[0]?.message }]);
    const parsed = OutputQuery.safeParse(Object.fromEntries(query));
    if (!parsed.success) throw invalidInput(parsed.error.issues, "query");
    await pods.look(sessionId, caller);
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
        if (!(error instanceof Problem)) logger.error({ err: error }, "a program can't be watched any more");
        closeWith(client, lostPodCode, error instanceof Problem ? error.body.detail : "Something went wrong.");
      },
    );
  }

  /** Passes on what the client sends: input in its order, and controls past the input that waits. */
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
      if (control === undefined) return closeWith(client, notUnderstoodCode, "A text must be a known control in JSON.");
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

/** Sends the program's events until its end, no faster than the client takes them. */
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
