/**
 * Shows a session's desktop over a WebSocket: GET /v1/sessions/:id/desktop, with `?ticket=` or an `Authorization: Bearer` key.
 *
 * If the session has no desktop or is not running, or its pod can't be reached, the gateway still accepts the upgrade and then
 * closes the WebSocket. The close code says why (see `closeCodes`), because a browser does not show an HTTP refusal to the
 * page's script. A ticket for the mode `view`, or `?mode=view` with a key, lets the user see the desktop,
 * but not control it.
 */
import { once } from "node:events";
import type { Logger } from "pino";
import { WebSocket } from "ws";
import type { Access } from "../api/access/access.ts";
import { grantOf } from "../api/access/authenticator.ts";
import { webSocketRights } from "../api/access/caller.ts";
import type { Credential } from "../api/access/credential.ts";
import type { DesktopMode } from "../api/access/tickets.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { keyIsGone } from "../api/sessionPods.ts";
import { desktopPort } from "../cluster/podSpec/podSpec.ts";
import type { Actor } from "../domain/event.ts";
import { type Session, withoutDesktop } from "../domain/session.ts";
import { isEnding, states } from "../domain/states/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import { connectionOf } from "../queue/openConnections.ts";
import type { Activity } from "../store/activity.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { tracing } from "../telemetry/tracing.ts";
import { closeWith, keepAlive, notUnderstoodCode, pump } from "./bridge.ts";
import type { Limit } from "./places.ts";
import { RfbClient } from "./rfbClient.ts";
import { perSession, perTenant, perTicket, viewersPerSession } from "./socketLimits.ts";
import { FloodError, restedAfterMs, sharedPace } from "./viewerPace.ts";
import { ViewHandshake } from "./viewHandshake.ts";
import {
  type Admitted,
  closedCode,
  lostCode,
  lostPodCode,
  restartCode,
  type SessionSocket,
  tooMuchCode,
  type UpgradeRequest,
} from "./webSockets.ts";

export const closeCodes = {
  /** This process is shutting down: the client should connect again. */
  restart: restartCode,
  /** A viewer sent something that is not valid RFB. */
  notUnderstood: notUnderstoodCode,
  /** The client has lost its permission, for example because its key was removed or its link was revoked. */
  lost: lostCode,
  /** A user has closed the connection through the API. */
  closed: closedCode,
  /** The session has no desktop and never will have one. */
  none: 4404,
  /** The session is queued, starting, suspending or suspended. The client may connect again when the session runs. */
  notRunning: 4409,
  /** The session has ended. */
  ended: 4410,
  /**
   * The client has exceeded a limit: of messages that a viewer may send, of connections that may be open, or of calls in a
   * minute. For the last two limits, clients other than browsers get the status 429 instead of this code.
   */
  tooMuch: tooMuchCode,
  /** The session is running, but its desktop can't be reached: the client should try again. */
  unreachable: lostPodCode,
} as const;

export interface GatewayOptions {
  queries: Pick<SessionQueries, "find">;
  commands: Pick<SessionCommands, "noteUse">;
  access: Pick<Access, "admit" | "admitTicket">;
  activity: Pick<Activity, "touch">;
  /**
   * The token that the session's VNC proxy expects. Undefined: this process does not know the key that the token is
   * made from.
   */
  proxyToken: (session: Session) => string | undefined;
  metrics: Pick<Metrics, "desktops">;
  logger: Logger;
  /** Port of vnc-proxy in the pod. Default 6080. */
  port?: number;
}

/** What a key or a ticket permits its holder to do. */
interface DesktopPermission {
  tenant: Tenant;
  mode: DesktopMode;
  credential: Credential;
  limits: Limit[];
  /** Who opens the desktop, for the audit trail. */
  actor: Actor;
  /** The ticket's id, if a ticket gave the permission. `grant` is the same id if the ticket can be revoked. */
  ticket?: string;
  grant?: string | undefined;
}

export class DesktopGateway implements SessionSocket {
  readonly name = "desktop";
  readonly protocols = ["binary"];
  /** By ticket id: the pace (the limit on requests for pictures), and how many viewers of this process share the pace. */
  readonly #paces = new Map<string, { pace: ReturnType<typeof sharedPace>; viewers: number }>();

  constructor(private readonly options: GatewayOptions) {}

  async admit(request: UpgradeRequest): Promise<Admitted> {
    const { sessionId } = request;
    const permission = await this.#permission(request);
    const { tenant, mode, credential, limits, grant, actor } = permission;
    const session = await this.options.queries.find(sessionId, tenant.name);
    if (session === undefined) throw new Problem(404, `There is no session ${sessionId}.`);
    if (this.options.proxyToken(session) === undefined) throw keyIsGone();
    return {
      credential,
      grant,
      info: connectionOf(actor, "desktop", { mode }),
      limits: [
        ...limits,
        ...(mode === "view" ? [viewersPerSession(sessionId)] : []),
        perSession(sessionId, "desktop"),
        perTenant(tenant),
      ],
      open: async (gone) => {
        if (!session.desktop) return (client) => closeWith(client, closeCodes.none, withoutDesktop(session));
        if (session.state !== "running" || session.podIp === null) return (client) => sayState(client, session);
        await this.#record(session, permission, gone);
        return (client) => this.#serve(client, session, permission);
      },
    };
  }

  async #permission(request: UpgradeRequest): Promise<DesktopPermission> {
    const { access } = this.options;
    const { sessionId, query, authorization, address } = request;
    const ticketText = query.get("ticket");
    if (ticketText !== null) {
      const { ticket, tenant } = await access.admitTicket(ticketText, { address, sessionId });
      const { id, mode, credential } = ticket;
      const actor = { name: `ticket:${id}`, ...(address !== undefined && { address }) };
      return { tenant, mode, credential, actor, limits: [perTicket(id)], ticket: id, grant: grantOf(ticket) };
    }
    const { tenant, credential, actor } = await access.admit({ authorization, address }, webSocketRights.desktop);
    const mode = query.get("mode") ?? "interactive";
    if (mode !== "interactive" && mode !== "view") {
      throw invalidInput([{ path: ["mode"], message: "must be interactive or view" }]);
    }
    return { tenant, mode, credential, actor, limits: [] };
  }

  /** Records in the audit trail who opens the desktop and in which mode, and later that the client has disconnected. */
  async #record({ id, tenant }: Session, { mode, actor }: DesktopPermission, gone: AbortSignal): Promise<void> {
    const { commands, logger } = this.options;
    const what = `the desktop${mode === "view" ? " in view mode" : ""}`;
    const note = (does: string) => commands.noteUse(id, tenant, "desktop", `${does} ${what}`, actor, states);
    await note("opens");
    const end = () =>
      note("closes").catch((error: unknown) =>
        logger.warn({ err: error, sessionId: id }, "the end of the desktop connection could not be recorded"),
      );
    if (gone.aborted) await end();
    else gone.addEventListener("abort", end);
  }

  /** Returns the pace that this process's clients with this ticket share. Each client without a ticket gets its own pace. */
  #paceOf(client: WebSocket, ticket: string | undefined) {
    if (ticket === undefined) return sharedPace();
    const shared = this.#paces.get(ticket) ?? { pace: sharedPace(), viewers: 0 };
    this.#paces.set(ticket, shared);
    shared.viewers += 1;
    client.once("close", () => {
      // The pace is kept until its bucket is full again. So a viewer gains nothing by disconnecting and connecting again.
      const leave = () => {
        shared.viewers -= 1;
        if (shared.viewers === 0) this.#paces.delete(ticket);
      };
      setTimeout(leave, restedAfterMs).unref();
    });
    return shared.pace;
  }

  #serve(client: WebSocket, session: Session, permission: DesktopPermission): void {
    const { mode, ticket } = permission;
    const { activity, logger, metrics, port = desktopPort, proxyToken } = this.options;
    const log = logger.child({ sessionId: session.id, tenant: session.tenant });
    const address = `ws://${session.podIp}:${port}/websockify?token=${proxyToken(session)}`;
    const upstream = new WebSocket(address, ["binary"], {
      perMessageDeflate: false,
      handshakeTimeout: 5_000,
      maxPayload: 16 * 1024 * 1024,
      headers: tracing().headers(),
    });
    void tracing()
      .span("pod desktop", { "berth.session": session.id }, () => once(upstream, "open"))
      .catch(() => {});
    let problem: Error | undefined;
    upstream.on("error", (error) => {
      problem = error;
      upstream.terminate();
    });

    client.pause(); // until the upstream connection is open
    upstream.on("open", () => {
      if (mode === "view") showTo(client, upstream, this.#paceOf(client, ticket));
      else {
        const user = new RfbClient(mode);
        pump(client, upstream, (data) => {
          const { pass, input } = user.take(data);
          if (input) activity.touch(session.id);
          return pass;
        });
        pump(upstream, client);
      }
      keepAlive(client);
      keepAlive(upstream);
      client.resume();
    });

    metrics.desktops.inc();
    log.info({ mode }, "desktop connected");
    client.on("close", (code) => {
      metrics.desktops.dec();
      log.info({ code }, "desktop disconnected");
      if (upstream.readyState === WebSocket.CONNECTING) upstream.terminate();
      else upstream.close();
    });
    upstream.on("close", () => {
      if (client.readyState !== WebSocket.OPEN) return;
      if (problem !== undefined) log.warn({ err: problem.message }, "the desktop can't be reached");
      this.#sayWhy(client, session).catch((error: unknown) => {
        log.warn({ err: error }, "the session's state can't be read");
        closeWith(client, closeCodes.unreachable, "The desktop can't be reached at the moment.");
      });
    });
  }

  /** Tells the client why the connection to the desktop ended: the session's new state, or a temporary fault. */
  async #sayWhy(client: WebSocket, session: Session): Promise<void> {
    const now = await this.options.queries.find(session.id, session.tenant);
    if (now !== undefined && now.state !== "running") return sayState(client, now);
    closeWith(client, closeCodes.unreachable, "The session runs, but its desktop can't be reached at the moment.");
  }
}

/** Sends the desktop's bytes to a viewer. Of the viewer's bytes, only those that `RfbClient` passes reach the desktop. */
function showTo(client: WebSocket, upstream: WebSocket, pace: ReturnType<typeof sharedPace>): void {
  const viewer = new RfbClient("view", undefined, pace);
  const handshake = new ViewHandshake();
  const passLater = passerOf(viewer, (request) => upstream.send(handshake.fromViewer(request)), upstream);
  pump(client, upstream, (data) => {
    const pass = handshake.fromViewer(take(viewer, client, data));
    passLater();
    return pass;
  });
  pump(upstream, client, (data) => {
    const { toViewer, toServer } = handshake.fromServer(data);
    if (toServer.length > 0) upstream.send(toServer);
    return toViewer;
  });
}

/** Returns the part of the bytes that the desktop may get. Disconnects a viewer that sends too much. */
function take(viewer: RfbClient, client: WebSocket, data: Buffer): Buffer {
  try {
    return viewer.take(data).pass;
  } catch (error) {
    if (!(error instanceof FloodError)) throw error;
    closeWith(client, closeCodes.tooMuch, `The viewer sends ${error.message}.`);
    return Buffer.alloc(0);
  }
}

/**
 * Returns a function that sends delayed requests to the desktop when they are due. The caller has to call this
 * function after each `take`.
 */
function passerOf(viewer: RfbClient, pass: (request: Buffer) => void, upstream: WebSocket): () => void {
  let timer: NodeJS.Timeout | undefined;
  return function wait() {
    const due = viewer.due();
    if (due === undefined || timer !== undefined) return;
    timer = setTimeout(() => {
      timer = undefined;
      if (upstream.readyState !== WebSocket.OPEN) return;
      const request = viewer.later();
      if (request !== undefined) pass(request);
      wait();
    }, due).unref();
  };
}

function sayState(client: WebSocket, { state, reason }: Session): void {
  closeWith(
    client,
    isEnding(state) ? closeCodes.ended : closeCodes.notRunning,
    `The session is ${state}${reason ? `: ${reason}` : "."}`,
  );
}
