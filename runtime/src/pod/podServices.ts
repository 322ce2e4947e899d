/**
 * berthd's services in the pods of sessions: programs, files and ports, over Connect. Definitions: images/berthd/proto.
 *
 * Calls go over HTTP/1.1, because each stream then has a connection and a flow control of its own. The bytes of files go by
 * fileBytes.ts.
 */
import { Agent } from "node:http";
import { connect, isIPv6, type NetConnectOpts, type Socket } from "node:net";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import type { OnApplicationShutdown } from "@nestjs/common";
import type { Session } from "../domain/session.ts";
import type { Berthd } from "./fileBytes.ts";
import { FileService } from "./gen/berth/v1/files_pb.ts";
import { MetricsService } from "./gen/berth/v1/metrics_pb.ts";
import { PortService } from "./gen/berth/v1/ports_pb.ts";
import { ProcessService } from "./gen/berth/v1/process_pb.ts";

/** Where berthd serves in the pod. */
const servicePort = 6082;

/** Milliseconds in which a pod must take a connection. */
const connectMs = 5_000;

/** Milliseconds for which an idle connection to a pod is kept. berthd keeps it for two minutes. */
const idleMs = 20_000;

/** Bytes of the largest message that is read: a page of 1000 files whose paths are long. */
const maxMessageBytes = 16 * 1024 * 1024;

export interface SessionServices {
  processes: Client<typeof ProcessService>;
  files: Client<typeof FileService>;
  ports: Client<typeof PortService>;
  metrics: Client<typeof MetricsService>;
}

export interface PodServicesOptions {
  /** The token by which a session's pod knows the platform. Undefined: its key is not known here. */
  token: (session: Pick<Session, "id" | "tokenKey">) => string | undefined;
  /** Default 6082. */
  port?: number | undefined;
}

type Place = Pick<Session, "id" | "tokenKey"> & { podIp: string };

export class PodServices implements OnApplicationShutdown {
  readonly #agent = new ImpatientAgent({ keepAlive: true, keepAliveMsecs: idleMs, timeout: idleMs });

  constructor(private readonly options: PodServicesOptions) {}

  /** The services of a session that runs. Nothing is asked of the pod yet. */
  of(session: Place): SessionServices {
    const { origin, token, agent } = this.berthd(session);
    const authorize: Interceptor = (next) => (request) => {
      request.header.set("authorization", `Bearer ${token}`);
      return next(request);
    };
    const transport = createConnectTransport({
      baseUrl: origin,
      httpVersion: "1.1",
      nodeOptions: { agent },
      interceptors: [authorize],
      acceptCompression: [], // the pod is near, and compressing costs its CPU
      readMaxBytes: maxMessageBytes,
    });
    return {
      processes: createClient(ProcessService, transport),
      files: createClient(FileService, transport),
      ports: createClient(PortService, transport),
      metrics: createClient(MetricsService, transport),
    };
  }

  /** Whether the pod of this session would let this process in. */
  canAsk(session: Pick<Session, "id" | "tokenKey">): boolean {
    return this.options.token(session) !== undefined;
  }

  /** Where the bytes of a session's files are. */
  berthd({ podIp, ...session }: Place): Berthd {
    const { token, port = servicePort } = this.options;
    const origin = `http://${isIPv6(podIp) ? `[${podIp}]` : podIp}:${port}`;
    return { origin, token: token(session) ?? "", agent: this.#agent };
  }

  onApplicationShutdown(): void {
    this.#agent.destroy();
  }
}

/** Gives up a connection that is not there after `connectMs`: a policy or a dead node may swallow it. */
class ImpatientAgent extends Agent {
  override createConnection(options: NetConnectOpts): Socket {
    const socket = connect({ ...options, noDelay: true } as NetConnectOpts);
    const late = Object.assign(new Error(`no connection within ${connectMs} ms`), { code: "ETIMEDOUT" });
    const timer = setTimeout(() => socket.destroy(late), connectMs);
    socket.once("connect", () => clearTimeout(timer)).once("close", () => clearTimeout(timer));
    return socket;
  }
}
