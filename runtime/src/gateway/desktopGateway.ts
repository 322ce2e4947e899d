/**
 * The desktop by WebSocket: GET /v1/sessions/:id/desktop, with `?ticket=` or an `Authorization: Bearer` key.
 *
 * What keeps the desktop away after the upgrade is told by the close code, for a browser can see nothing else: see
 * `closeCodes`. A ticket for `view`, or `?mode=view` with a key, lets its holder look and nothing more.
 */
import type { Logger } from "pino";
import { WebSocket } from "ws";
import type { Access } from "../api/access/access.ts";
import { grantOf } from "../api/access/authenticator.ts";
import type { Credential } from "../api/access/credential.ts";
import type { DesktopMode } from "../api/access/tickets.ts";
import { invalidInput, Problem } from "../api/http/problem.ts";
import { keyIsGone } from "../api/sessionPods.ts";
import { desktopPort } from "../cluster/podSpec.ts";
import type { Actor } from "../domain/event.ts";
import { type Session, withoutDesktop } from "../domain/session.ts";
import { isFinal, states } from "../domain/state.ts";
import type { Tenant } from "../domain/tenants.ts";
import { connectionOf } from "../queue/openConnections.ts";
import type { Activity } from "../store/activity.ts";
import type { SessionCommands } from "../store/sessionCommands.ts";
import type { SessionQueries } from "../store/sessionQueries.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { closeWith, keepAlive, notUnderstoodCode, pump } from "./bridge.ts";
import type { Limit } from "./places.ts";
import { RfbClient } from "./rfbClient.ts";
import { perSession, perTenant, perTicket, viewersPerSession } from "./socketLimits.ts";
import { FloodError, restedAfterMs, sharedPace } from "./viewerPace.ts";
import { ViewHandshake } from "./viewHandshake.ts";
import {
  type Admitted,
  closedCode,
  type Gateway,
  lostCode,
  restartCode,
  tooMuchCode,
  type UpgradeRequest,
} from "./webSockets.ts";

export const closeCodes = {
  /** This process ends: connect again. */
  restart: restartCode,
  /** A viewer sent something that isn't the protocol. */
  notUnderstood: notUnderstoodCode,
  /** The key or link that it was opened with has expired or was removed. */
  lost: lostCode,
  /** Somebody has closed the connection by the API. */
  closed: closedCode,
  /** The session has no desktop, and never will. */
  none: 4404,
  /** The session isn't running yet: wait for it. */
  notRunning: 4409,
  /** The session is over. */
  ended: 4410,
  /** A viewer sends more than anybody can look at; or, in a browser, what is a 429 elsewhere: too many desktops or calls. */
  tooMuch: tooMuchCode,
  /** The session runs, but its desktop can't be reached: try again. */
  unreachable: 4502,
} as const;

export interface GatewayOptions {
  queries: Pick<SessionQueries, "find">;
  commands: Pick<SessionCommands, "noteUse">;
  access: Pick<Access, "admit" | "admitTicket">;
  activity: Pick<Activity, "touch">;
  /** What the session's VNC proxy asks for. Undefined: its key is not known here. */
  proxyToken: (session: Session) => string | undefined;
  metrics: Pick<Metrics, "desktops">;
  logger: Logger;
  /** Port of vnc-proxy in the pod. Default 6080. */
  port?: number;
}

/** What a permission opens. */
interface Permission {
  tenant: Tenant;
  mode: DesktopMode;
  credential: Credential;
  limits: Limit[];
  /** For the audit trail. */
  actor: Actor;
  /** The id of the ticket that it is by, and the same if that can be revoked. */
  ticket?: string;
  grant?: string | undefined;
}

export class DesktopGateway implements Gateway {
  readonly name = "desktop";
  readonly protocols = ["binary"];
  /** Of this process' viewers by their tickets' ids, and how many each has. */
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
      open: async () => {
        if (session.state === "running") await this.#note(session, permission, "opens");
        return (client) => this.#serve(client, session, permission);
      },
    };
  }

  async #permission(request: UpgradeRequest): Promise<Permission> {
    const { access } = this.options;
    const { sessionId, query, authorization, address } = request;
    const ticketText = query.get("ticket");
    if (ticketText !== null) {
      const { ticket, tenant } = await access.admitTicket(ticketText, { address, sessionId });
      const { id, mode, credential } = ticket;
      const actor = { name: `ticket:${id}`, ...(address !== undefined && { address }) };
      return { tenant, mode, credential, actor, limits: [perTicket(id)], ticket: id, grant: grantOf(ticket) };
    }
    const { tenant, credential, actor } = await access.admit({ authorization, address }, ["desktop"]);
    const mode = query.get("mode") ?? "interactive";
    if (mode !== "interactive" && mode !== "view") {
      throw invalidInput([{ path: ["mode"], message: "must be interactive or view" }]);
    }
    return { tenant, mode, credential, actor, limits: [] };
  }

  /** Notes who opens or closes a desktop, and how. */
  async #note({ id, tenant }: Session, { mode, actor }: Permission, does: "opens" | "closes"): Promise<void> {
    const what = `${does} the desktop${mode === "view" ? " to look" : ""}`;
    await this.options.commands.noteUse(id, tenant, "desktop", what, actor, states);
  }

  /** The pace that the client shares with all that came by its ticket; one of its own if it came by none. */
  #paceOf(client: WebSocket, ticket: string | undefined) {
    if (ticket === undefined) return sharedPace();
    const shared = this.#paces.get(ticket) ?? { pace: sharedPace(), viewers: 0 };
    this.#paces.set(ticket, shared);
    shared.viewers += 1;
    client.once("close", () => {
      // To come again at once is no way to a new one.
      const leave = () => {
        shared.viewers -= 1;
        if (shared.viewers === 0) this.#paces.delete(ticket);
      };
      setTimeout(leave, restedAfterMs).unref();
    });
    return shared.pace;
  }

  #serve(client: WebSocket, session: Session, permission: Permission): void {
    const { mode, ticket } = permission;
    if (!session.desktop) {
      closeWith(client, closeCodes.none, withoutDesktop(session));
      return;
    }
    if (session.state !== "running" || session.podIp === null) {
      sayState(client, session);
      return;
    }
    const { activity, logger, metrics, port = desktopPort, proxyToken } = this.options;
    const log = logger.child({ sessionId: session.id, tenant: session.tenant });
    const address = `ws://${session.podIp}:${port}/websockify?token=${proxyToken(session)}`;
    const upstream = new WebSocket(address, ["binary"], {
      perMessageDeflate: false,
      handshakeTimeout: 5_000,
      maxPayload: 16 * 1024 * 1024,
    });
    let problem: Error | undefined;
    upstream.on("error", (error) => {
      problem = error;
      upstream.terminate();
    });

    client.pause(); // until there is somebody to send to
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
      this.#note(session, permission, "closes").catch((error: unknown) =>
        log.warn({ err: error }, "the desktop's end could not be noted"),
      );
      if (upstream.readyState === WebSocket.CONNECTING) upstream.terminate();
      else upstream.close();
    });
    upstream.on("close", () => {
      if (client.readyState !== WebSocket.OPEN) return;
      if (problem !== undefined) log.warn({ err: problem.message }, "desktop can't be reached");
      this.#sayWhy(client, session).catch((error: unknown) => {
        log.warn({ err: error }, "the session's state can't be read");
        closeWith(client, closeCodes.unreachable, "The desktop can't be reached at the moment.");
      });
    });
  }

  /** The desktop went away, or never came: because the session did, or else for a moment. */
  async #sayWhy(client: WebSocket, session: Session): Promise<void> {
    const now = await this.options.queries.find(session.id, session.tenant);
    if (now !== undefined && now.state !== "running") return sayState(client, now);
    closeWith(client, closeCodes.unreachable, "The session runs, but its desktop can't be reached at the moment.");
  }
}

/** Carries the desktop to a viewer, and of the viewer's bytes what asks for pictures. */
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

/** What of the bytes goes on. A viewer that sends too much is sent away. */
function take(viewer: RfbClient, client: WebSocket, data: Buffer): Buffer {
  try {
    return viewer.take(data).pass;
  } catch (error) {
    if (!(error instanceof FloodError)) throw error;
    closeWith(client, closeCodes.tooMuch, `The viewer sends ${error.message}.`);
    return Buffer.alloc(0);
  }
}

/** What passes requests that were kept back on to the desktop, each when its turn has come; to be called after each `take`. */
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
  const over = state === "stopping" || isFinal(state);
  closeWith(
    client,
    over ? closeCodes.ended : closeCodes.notRunning,
    `The session is ${state}${reason ? `: ${reason}` : "."}`,
  );
}
