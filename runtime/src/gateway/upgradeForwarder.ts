/**
 * WebSockets that are asked of an API process although a gateway of its own has them, as by the API's port 3001: passed on to
 * the gateway. Nothing that Berth tells leads here, and such a connection ends with the API's process.
 */
import { type IncomingMessage, request as open, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { BeforeApplicationShutdown } from "@nestjs/common";
import type { Logger } from "pino";
import type { Peers } from "../api/access/peers.ts";
import { Problem } from "../api/http/problem.ts";
import { refuse } from "./webSockets.ts";

/** Milliseconds that the gateway may take for its answer. */
const patienceMs = 10_000;

export interface UpgradeForwarderOptions {
  /** Where to, e.g. http://gateway.berth.svc.cluster.local. */
  target: string;
  peers: Pick<Peers, "headersFor" | "addressOf" | "isPeer">;
  logger: Logger;
}

export class UpgradeForwarder implements BeforeApplicationShutdown {
  readonly #open = new Set<Duplex>();

  constructor(private readonly options: UpgradeForwarderOptions) {}

  /** Takes an HTTP server's upgrade event. Never throws. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const { target, peers, logger } = this.options;
    socket.on("error", () => socket.destroy());
    // Where the gateway's Service still leads to this process, as while the one becomes two, nobody is there to pass it on to.
    if (peers.isPeer(request)) {
      refuseFor(socket);
      return;
    }
    this.#open.add(socket);
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
      logger.warn({ err: error }, "the gateway gives no answer");
      refuseFor(socket);
    });
    call.on("upgrade", (answer, far, farHead) => {
      far.setTimeout(0).on("error", () => socket.destroy());
      far.once("close", () => socket.destroy());
      socket.once("close", () => far.destroy());
      socket.write(headOf(answer));
      socket.write(farHead);
      far.write(head);
      far.pipe(socket).pipe(far);
    });
    call.on("response", (answer) => {
      socket.write(headOf(answer));
      answer.pipe(socket);
    });
    call.end();
  }

  async beforeApplicationShutdown(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
  }
}

function refuseFor(socket: Duplex): void {
  const problem = new Problem(503, "The gateway can't be reached at the moment. Please try again.", undefined, 2);
  if (!socket.destroyed) refuse(socket, problem, problem.body);
}

/** The beginning of the answer as it came. */
function headOf({ statusCode = 502, rawHeaders }: IncomingMessage): string {
  const lines = rawHeaders.map((text, index) => (index % 2 === 0 ? `${text}: ` : `${text}\r\n`)).join("");
  return `HTTP/1.1 ${statusCode} ${STATUS_CODES[statusCode] ?? ""}\r\n${lines}\r\n`;
}
