/**
 * Clients of berthd's services in sessions' pods: programs, files, ports and metrics, over Connect. The services are
 * defined in images/berthd/proto.
 *
 * Calls use HTTP/1.1, because each stream then has its own connection and flow control. fileBytes.ts transfers the
 * bytes of files.
 */
import { Agent } from "node:http";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { Client } from "@connectrpc/connect";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Session } from "../domain/session.ts";
import { FileService } from "./gen/berth/v1/files_pb.ts";
import { MetricsService } from "./gen/berth/v1/metrics_pb.ts";
import { PortService } from "./gen/berth/v1/ports_pb.ts";
import { ProcessService } from "./gen/berth/v1/process_pb.ts";
import { podClient } from "./podClient.ts";
import type { Berthd } from "./requests.ts";

/** The port of berthd in the pod. */
const servicePort = 6082;

/** How many milliseconds the opening of a connection to a pod may take. */
const connectMs = 5_000;

/** How many milliseconds this process keeps an idle connection to a pod. berthd would close the connection after two minutes. */
const idleMs = 20_000;

export interface SessionServices {
  processes: Client<typeof ProcessService>;
  files: Client<typeof FileService>;
  ports: Client<typeof PortService>;
  metrics: Client<typeof MetricsService>;
}

export interface PodServicesOptions {
  /**
   * `session` is the token by which a session's pod recognizes the platform. Undefined: this process does not know the token's
   * key.
   */
  tokens: (session: Pick<Session, "id" | "tokenKey">) => { readonly session: string } | undefined;
  /** The port of berthd. Default 6082. */
  port?: number | undefined;
}

type PodAddress = Pick<Session, "id" | "tokenKey"> & { podIp: string };

export class PodServices implements OnApplicationShutdown {
  readonly #agent = new ImpatientAgent({ keepAlive: true, keepAliveMsecs: idleMs, timeout: idleMs });

  constructor(private readonly options: PodServicesOptions) {}

  /** The clients of a running session. Creating them makes no call to the pod. */
  of(session: PodAddress): SessionServices {
    const berthd = this.berthd(session);
    return {
      get processes() {
        return podClient(ProcessService, berthd);
      },
      get files() {
        return podClient(FileService, berthd);
      },
      get ports() {
        return podClient(PortService, berthd);
      },
      get metrics() {
        return podClient(MetricsService, berthd);
      },
    };
  }

  /** Whether this process knows the key from which the token of the session's pod is made. */
  canAsk(session: Pick<Session, "id" | "tokenKey">): boolean {
    return this.options.tokens(session) !== undefined;
  }

  /** The address and the token of the berthd in the session's pod. */
  berthd({ podIp, ...session }: PodAddress): Berthd {
    const { tokens, port = servicePort } = this.options;
    return { host: podIp, port, token: tokens(session)?.session ?? "", agent: this.#agent };
  }

  onApplicationShutdown(): void {
    this.#agent.destroy();
  }
}

/**
 * Gives up a connection that is not open after `connectMs`. For example, a network policy or a dead node may drop the packets.
 */
class ImpatientAgent extends Agent {
  override createConnection(options: NetConnectOpts): Socket {
    const socket = connect({ ...options, noDelay: true } as NetConnectOpts);
    const late = Object.assign(new Error(`no connection within ${connectMs} ms`), { code: "ETIMEDOUT" });
    const timer = setTimeout(() => socket.destroy(late), connectMs);
    socket.once("connect", () => clearTimeout(timer)).once("close", () => clearTimeout(timer));
    // If a request is aborted just as its answer ends, Node has already removed the request's error listener. Without this
    // listener, the error would end the process.
    return socket.on("error", () => {});
  }
}
