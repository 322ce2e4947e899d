/**
 * Runs a command in a session's agent container for each WebSocket: GET /v1/sessions/:id/exec?command=ls&command=-l. The
 * tenant's config must have `exec: true`.
 *
 * The messages are those of Kubernetes' protocols v4.channel.k8s.io and v5: the first byte names the channel. To the
 * command: 0 is stdin, 4 is the terminal's size as {"Width":80,"Height":24}, and the bytes 255 and 0 close stdin (v5).
 * From the command: 1 is stdout, 2 is stderr, and 3 is a Status object that says how the command ended. When the client
 * disconnects, the command gets SIGHUP.
 */
import type { Logger } from "pino";
import { WebSocket } from "ws";
import { z } from "zod";
import type { Access } from "../api/access/access.ts";
import { webSocketRights } from "../api/access/caller.ts";
import { ExecQuery } from "../api/execQuery.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { numberOf } from "../api/processJson.ts";
import { serviceProblem } from "../api/serviceProblem.ts";
import type { RunningSession, SessionPods } from "../api/sessionPods.ts";
import { OutputStream, type ProcessEvent } from "../berthd/gen/berth/v1/process_pb.ts";
import { listenTo } from "../berthd/listenTo.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { commandLine } from "../domain/commandLine.ts";
import { connectionOf } from "../queue/openConnections.ts";
import { closeWith, highWaterBytes, keepAlive, notUnderstoodCode } from "./bridge.ts";
import { exitStatus } from "./exitStatus.ts";
import { inOrder } from "./inOrder.ts";
import { perSession, perTenant } from "./socketLimits.ts";
import { type Admitted, lostPodCode, type SessionSocket, type UpgradeRequest } from "./webSockets.ts";

/** The terminal's size until the client sends another one. */
const firstSize = { columns: 80, rows: 24 };

const Size = z.object({ Width: z.int().min(1).max(1_000), Height: z.int().min(1).max(1_000) });

const areOff = (tenant: string) => `Commands are off for the tenant ${tenant}: its config must have exec: true.`;

export interface ExecOptions {
  tenants: Pick<TenantsFile, "get">;
  access: Pick<Access, "admit">;
  pods: SessionPods;
  logger: Logger;
}

/** A running command. */
interface Running {
  session: RunningSession;
  id: bigint;
  events: AsyncGenerator<ProcessEvent>;
  /** Is aborted when the client has disconnected. */
  gone: AbortSignal;
}

export class ExecGateway implements SessionSocket {
  readonly name = "exec";
  readonly protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

  constructor(private readonly options: ExecOptions) {}

  async admit({ sessionId, query, authorization, address }: UpgradeRequest): Promise<Admitted> {
    const { access, pods, tenants, logger } = this.options;
    const caller = await access.admit({ authorization, address }, webSocketRights.exec);
    const { tenant, actor, credential } = caller;
    if (!tenant.exec) throw new Problem(403, areOff(tenant.name));
    const parsed = ExecQuery.safeParse({
      ...Object.fromEntries(query),
      ...(query.has("command") && { command: query.getAll("command") }),
    });
    if (!parsed.success) throw invalidInput(parsed.error.issues);
    await pods.findRunning(sessionId, caller);
    const { command, tty } = parsed.data;
    return {
      limits: [perSession(sessionId, "exec"), perTenant(tenant)],
      credential,
      info: connectionOf(actor, "exec"),
      loss: () => (tenants.get(tenant.name)?.exec ? undefined : areOff(tenant.name)),
      open: async (gone) => {
        const session = await pods.use(sessionId, caller, "command", commandLine(command));
        // The arguments are not logged, because they may contain the tenant's secrets.
        logger.info({ sessionId, tenant: tenant.name, actor, program: command[0] }, "command started");
        const running = await this.#start(session, command, tty === "true", gone);
        return (client) => this.#serve(client, running);
      },
    };
  }

  async #start(session: RunningSession, command: string[], tty: boolean, gone: AbortSignal): Promise<Running> {
    const { pods } = this.options;
    const { processes } = pods.services.of(session);
    const request = { command, keepStdin: true, waitForReader: true, ...(tty && { pty: firstSize }) };
    const events = listenTo((signal) => processes.start(request, { signal }), gone);
    const asked = { field: "command", missing: 400 } as const;
    const first = await pods.traced(session, "exec", () => events.next(), asked);
    if (first.done || first.value.kind.case !== "started")
      throw new Problem(502, "The session's pod did not start the command.");
    const { id } = first.value.kind.value;
    // If the program has already ended, the signal fails, and the failure is ignored.
    const hangUp = () => void processes.signal({ id, signal: numberOf("SIGHUP") }).catch(() => {});
    if (gone.aborted) hangUp();
    else gone.addEventListener("abort", hangUp, { once: true });
    return { session, id, events, gone };
  }

  #serve(client: WebSocket, running: Running): void {
    keepAlive(client);
    this.#takeInput(client, running);
    show(client, running.events).then(
      () => closeWith(client, 1000, ""),
      (error: unknown) => {
        const problem = serviceProblem(error);
        if (!(problem instanceof Problem))
          this.options.logger.error({ err: error }, "the output of a command can't be read");
        closeWith(client, lostPodCode, problem instanceof Problem ? problem.body.detail : "Something went wrong.");
      },
    );
  }

  #takeInput(client: WebSocket, { session, id, gone }: Running): void {
    const { processes } = this.options.pods.services.of(session);
    const options = { signal: gone };
    // Errors are ignored here, because `show` tells the client that the command has ended or that the pod is lost.
    const later = inOrder(client, () => {});
    client.on("message", (received: Buffer) => {
      if (client.readyState !== WebSocket.OPEN) return;
      const data = received.subarray(1);
      switch (received[0]) {
        case 0:
          return later(data.length, () => processes.sendInput({ id, data }, options));
        case 4: {
          const size = sizeOf(data);
          if (size !== undefined) processes.resize({ id, size }, options).catch(() => {});
          return;
        }
        case 255:
          return data[0] === 0 ? later(0, () => processes.closeStdin({ id }, options)) : undefined;
        default:
          closeWith(client, notUnderstoodCode, `A client can't send on channel ${received[0]}.`);
      }
    });
  }
}

function sizeOf(json: Buffer): { columns: number; rows: number } | undefined {
  try {
    const { Width, Height } = Size.parse(JSON.parse(json.toString()));
    return { columns: Width, rows: Height };
  } catch {
    return undefined;
  }
}

/** Sends the command's output and its exit status to the client, no faster than the client reads. */
async function show(client: WebSocket, events: AsyncGenerator<ProcessEvent>): Promise<void> {
  const send = (channel: number, data: Uint8Array) =>
    new Promise<void>((resolve) => client.send(Buffer.concat([Buffer.of(channel), data]), () => resolve()));
  for await (const { kind } of events) {
    if (client.readyState !== WebSocket.OPEN) return;
    if (kind.case === "ended") await send(3, Buffer.from(JSON.stringify(exitStatus(kind.value))));
    if (kind.case !== "data") continue;
    const sent = send(kind.value.stream === OutputStream.STDERR ? 2 : 1, kind.value.data);
    if (client.bufferedAmount > highWaterBytes) await sent;
  }
}
