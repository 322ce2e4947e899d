/**
 * An HTTP server in front of the Kubernetes API server. The front forwards every call, unless a test wants a call to fail. So
 * the front's clients use a real cluster, and see the failures that a Kubernetes API server can have.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, request as send } from "node:https";
import { pipeline } from "node:stream";
import { KubeConfig } from "@kubernetes/client-node";
import { loadKubeConfig } from "../cluster/kubernetes.ts";
import { originOf } from "./api.ts";
import { shrink } from "./shrink.ts";

export interface Call {
  /** The HTTP method, e.g. GET. */
  method: string;
  /** Without the query. */
  path: string;
  /** The name of the object that is created, read, changed or deleted; undefined for lists and watches. */
  object: string | undefined;
  isWatch: boolean;
}

export type Fault =
  /** Answers with this status. The API server does not get the call. */
  | { status: number; reason?: string; message?: string; headers?: Record<string, string> }
  /** Accepts the call and never answers. */
  | "hang"
  /** Cuts the connection. The API server does not get the call. */
  | "cut"
  /** Forwards the call, but cuts the connection instead of answering. */
  | "lose the answer"
  /** Opens the watch and never sends an event. */
  | "silence"
  /** Holds the call until the promise resolves, then forwards the call unless the caller has disconnected. */
  | Promise<void>;

export interface KubeFront {
  config: KubeConfig;
  url: string;
  /** Chooses the fault of each call. Default: no fault. */
  fault: (call: Call) => Fault | undefined;
  /** All calls so far. */
  calls: Call[];
  /** How many watches are open now. */
  watches: () => number;
  /** Cuts every open watch in the middle of its answer. */
  cutWatches: () => void;
  close: () => Promise<void>;
}

/**
 * `agent`: the pods that are created through this server are small (see `shrink`), and run this command in place of the
 * agent. Default: pods are not changed.
 */
export async function startKubeFront({ agent }: { agent?: string } = {}): Promise<KubeFront> {
  const real = loadKubeConfig();
  const target = real.getCurrentCluster()?.server ?? "";
  const credentials = {};
  await real.applyToHTTPSOptions(credentials);
  const upstream = new Agent({ ...credentials, keepAlive: true });
  const watches = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    response.on("error", () => {});
    take(request, response).catch(() => response.destroy()); // the caller has disconnected
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await request.toArray());
    const url = new URL(request.url ?? "/", "http://front");
    const { method = "" } = request;
    const call = {
      method,
      path: url.pathname,
      object: method === "POST" ? JSON.parse(body.toString()).metadata?.name : nameIn(url.pathname),
      isWatch: url.searchParams.has("watch"),
    };
    front.calls.push(call);
    if (call.isWatch) {
      watches.add(response);
      response.on("close", () => watches.delete(response));
    }
    const wanted = front.fault(call);
    if (wanted instanceof Promise) await wanted;
    const fault = wanted instanceof Promise ? undefined : wanted;
    if (fault === "hang" || response.destroyed) return;
    if (fault === "cut") response.destroy();
    else if (fault === "silence") response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    else if (fault === undefined || fault === "lose the answer") pass(request, response, call, body, fault);
    else
      response
        .writeHead(fault.status, fault.headers)
        .end(JSON.stringify({ kind: "Status", code: fault.status, ...fault }));
  }

  function pass(request: IncomingMessage, response: ServerResponse, call: Call, body: Buffer, fault?: Fault): void {
    const makesPod = call.method === "POST" && call.path.endsWith("/pods") && agent !== undefined;
    const payload = makesPod ? Buffer.from(JSON.stringify(shrink(JSON.parse(body.toString()), agent))) : body;
    const { host: _, connection: __, "content-length": ___, ...headers } = request.headers;
    const onward = send(`${target}${request.url}`, {
      agent: upstream,
      method: call.method,
      headers: { ...headers, ...(payload.length > 0 && { "content-length": payload.length }) },
    });
    onward.on("error", () => response.destroy());
    onward.on("response", (answer) => {
      if (fault === "lose the answer") {
        answer.resume();
        response.destroy();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      pipeline(answer, response, () => {}); // either side may disconnect at any time
    });
    response.on("close", () => onward.destroy());
    onward.end(payload);
  }

  const front: KubeFront = {
    config: configFor(originOf(server)),
    url: originOf(server),
    fault: () => undefined,
    calls: [],
    watches: () => watches.size,
    cutWatches: () => {
      for (const response of watches) response.destroy();
    },
    async close() {
      server.closeAllConnections();
      server.close();
      upstream.destroy();
    },
  };
  return front;
}

/**
 * Forwards the calls with the HTTP method `method` for the objects of the first `sessions` sessions. Calls with this HTTP
 * method for other sessions wait until the test calls `go`. Calls with other HTTP methods don't wait.
 */
export function holdAfter(front: KubeFront, method: "POST" | "DELETE", sessions: number): { go: () => void } {
  const through = new Set<string>();
  const { promise, resolve: go } = Promise.withResolvers<void>();
  front.fault = ({ method: called, object, path }) => {
    if (called !== method || object === undefined || path.endsWith("/leases")) return undefined;
    if (through.size < sessions) through.add(object);
    return through.has(object) ? undefined : promise;
  };
  return { go };
}

/** The name in …/namespaces/<namespace>/<kind>/<name>. */
const nameIn = (path: string) => /\/namespaces\/[^/]+\/[^/]+\/([^/]+)$/.exec(path)?.[1];

function configFor(server: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: "front", server, skipTLSVerify: true }],
    users: [{ name: "front" }],
    contexts: [{ name: "front", cluster: "front", user: "front" }],
    currentContext: "front",
  });
  return config;
}
