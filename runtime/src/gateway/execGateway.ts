/**
 * Commands in a session's agent container: GET /v1/sessions/:id/exec?command=ls&command=-l as a WebSocket, where the
 * tenant's config has `exec: true`.
 *
 * Messages are those of Kubernetes' own protocol, v4.channel.k8s.io and v5: the first byte says what the rest is. To the
 * command: 0 stdin, 4 the terminal's size as {"Width":80,"Height":24}, 255 0 the end of stdin (v5). From it: 1 stdout,
 * 2 stderr, 3 how it ended, as a Status object.
 */
import type { Logger } from "pino";
import { WebSocket } from "ws";
import type { z } from "zod";
import type { Access } from "../api/access/access.ts";
import { ExecQuery } from "../api/execQuery.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { podProblem } from "../api/podProblem.ts";
import type { PodAccess } from "../cluster/podAccess.ts";
import type { TenantsFile } from "../config/tenantsFile.ts";
import { commandLine } from "../domain/commandLine.ts";
import type { Actor } from "../domain/event.ts";
import type { Session } from "../domain/session.ts";
import type { Tenant } from "../domain/tenants.ts";
import type { Activity } from "../store/activity.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import { closeWith, keepAlive, pump } from "./bridge.ts";
import { perSession, perTenant } from "./socketLimits.ts";
import type { Admitted, Gateway, UpgradeRequest } from "./webSockets.ts";

/** Channels on which a client may send: stdin, the terminal's size, the end of a stream. */
const clientChannels = new Set([0, 4, 255]);

/** The close code for a command that could not be started. */
const notStartedCode = 4502;

const areOff = (tenant: string) => `Commands are off for the tenant ${tenant}: its config must have exec: true.`;

export interface ExecOptions {
  queries: Pick<SessionQueries, "find">;
  commands: Pick<SessionCommands, "noteUse">;
  tenants: Pick<TenantsFile, "get">;
  access: Pick<Access, "admit">;
  activity: Pick<Activity, "touch">;
  pods: Pick<PodAccess, "exec">;
  logger: Logger;
}

export class ExecGateway implements Gateway {
  readonly name = "exec";
  readonly protocols = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

  constructor(private readonly options: ExecOptions) {}

  async admit({ sessionId, query, authorization, address }: UpgradeRequest): Promise<Admitted> {
    const { access, queries, tenants } = this.options;
    const { tenant, actor, credential } = await access.admit({ authorization, address }, ["write"]);
    if (!tenant.exec) throw new Problem(403, areOff(tenant.name));
    const parsed = ExecQuery.safeParse({
      ...Object.fromEntries(query),
      ...(query.has("command") && { command: query.getAll("command") }),
    });
    if (!parsed.success) throw invalidInput(parsed.error.issues);
    const session = await queries.find(sessionId, tenant.name);
    if (session === undefined) throw new Problem(404, `There is no session ${sessionId}.`);
    if (session.state !== "running") throw new Problem(409, `The session is ${session.state}; it has to be running.`);

    return {
      limits: [perSession(sessionId, "exec"), perTenant(tenant)],
      credential,
      loss: () => (tenants.get(tenant.name)?.exec ? undefined : areOff(tenant.name)),
      open: () => this.#open(session, parsed.data, tenant, actor),
    };
  }

  async #open(
    session: Session,
    { command, tty }: z.infer<typeof ExecQuery>,
    tenant: Tenant,
    actor: Actor,
  ): Promise<(client: WebSocket) => void> {
    const { commands, pods, logger } = this.options;
    const sessionId = session.id;
    // Before it runs: nobody runs a command that isn't on record.
    const noted = await commands.noteUse(sessionId, tenant.name, "command", commandLine(command), actor);
    if (noted === undefined) throw new Problem(409, "The session does not run any more.");
    // Without the arguments, which are the tenant's own.
    logger.info({ sessionId, tenant: tenant.name, actor, program: command[0] }, "command started");
    return (client) => {
      client.pause(); // until there is somebody to send to
      pods.exec(session, command, { tty: tty === "true" }).then(
        (upstream) => this.#serve(client, upstream, sessionId),
        (error: unknown) => {
          logger.warn({ err: error, sessionId }, "command could not be started");
          closeWith(client, notStartedCode, podProblem(error, session, "command line").body.detail);
        },
      );
    };
  }

  #serve(client: WebSocket, upstream: WebSocket, sessionId: string): void {
    if (client.readyState !== WebSocket.OPEN) {
      upstream.terminate();
      return;
    }
    upstream.on("error", () => upstream.terminate());
    // What the command writes counts like what is typed: somebody waits for it.
    const touch = (data: Buffer) => {
      this.options.activity.touch(sessionId);
      return data;
    };
    pump(client, upstream, (data) => {
      if (!clientChannels.has(data[0] ?? -1)) throw new Error(`Nothing can be sent on channel ${data[0]}.`);
      return touch(data);
    });
    pump(upstream, client, touch);
    keepAlive(client);
    client.on("close", () => upstream.close());
    upstream.on("close", () => {
      if (client.readyState === WebSocket.OPEN) closeWith(client, 1000, "");
    });
    this.options.activity.touch(sessionId);
    client.resume();
    upstream.resume();
  }
}
