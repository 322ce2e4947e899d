/**
 * Forwards WebSockets from the API to the gateway, if the gateway is a separate process. Berth gives clients only the
 * gateway's address, but a client may still connect to the API, for example at its port 3001. When the API's process ends,
 * it closes the forwarded WebSockets with the code 1012.
 */
import { type IncomingMessage, request as open, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { Peers } from "../api/access/peers.ts";
import { Problem } from "../api/http/problem.ts";
import { PassedOn } from "./passedOn.ts";
import { closeInTime, refuse, restartCode } from "./webSockets.ts";

/** How long to wait for the gateway's answer, in milliseconds. */
const patienceMs = 10_000;

export interface UpgradeForwarderOptions {
  /** The gateway's address, e.g. http://gateway.berth.svc. */
  target: string;
  peers: Pick<Peers, "headersFor" | "addressOf" | "isPeer">;
  logger: Logger;
}

export class UpgradeForwarder implements BeforeApplicationShutdown {
  /** The clients' sockets, and what forwards their frames; undefined before the upgrade. */
  readonly #open = new Map<Duplex, PassedOn | undefined>();

  constructor(private readonly options: UpgradeForwarderOptions) {}

  /** Handles the `upgrade` event of an HTTP server. Never throws. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { target, peers, logger } = this.options;
    closeInTime(socket);
    // While an update splits the gateway from the API, the gateway's Service may still lead to an API process. In this
    // case, another API process has forwarded the request to this one, which knows no gateway to forward the request to.
    if (peers.isPeer(request)) {
      refuseFor(socket);
      return;
    }
    this.#open.set(socket, undefined);
    socket.once("close", () => this.#open.delete(socket));
    const call = open(target, {
      path: request.url ?? "/",
      setHost: false,
      timeout: patienceMs,
      headers: { ...request.headers, ...peers.headersFor(peers.addressOf(request)) },
    });
    socket.once("close", () => call.destroy());
    call.on("timeout", () => call.destroy(new Error(`no answer in ${patienceMs / 1_000} s`)));
    call.on("error", (error) => {
      logger.warn({ err: error }, "the gateway does not answer");
      refuseFor(socket);
    });
    call.on("upgrade", (answer, far, farHead) => {
      far.setTimeout(0).on("error", () => socket.destroy());
      socket.write(headOf(answer));
      far.write(head);
      this.#open.set(socket, new PassedOn(socket, far, farHead));
    });
    call.on("response", (answer) => {
      socket.write(headOf(answer));
      answer.pipe(socket);
    });
    call.end();
  }

  async beforeApplicationShutdown(): Promise<void> {
    const closed = [...this.#open.keys()].map((socket) => new Promise((resolve) => socket.once("close", resolve)));
    for (const [socket, webSocket] of this.#open) {
      if (webSocket === undefined) socket.destroy();
      else webSocket.sendAway(restartCode, "Berth restarts; connect again.");
    }
    await Promise.all(closed);
  }
}

function refuseFor(socket: Duplex): void {
  const problem = new Problem(503, "The gateway can't be reached at the moment. Please try again.", undefined, 2);
  if (!socket.destroyed) refuse(socket, problem, problem.body);
}

/** The head of the answer. Status code and headers are unchanged; the version is always 1.1, and the reason phrase is Node's. */
function headOf({ statusCode = 502, rawHeaders }: IncomingMessage): string {
  const lines = rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
  return `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ""}\r\n${lines}\r\n`;
}
