/** A session of BuildKit's, without which it builds no Dockerfile that mounts a secret, not even one that may be missing. */
import { randomUUID } from "node:crypto";
import { request } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import grpc from "@grpc/grpc-js";
import { addressOf, unreachable } from "./daemon.ts";

const raw = (message: Buffer) => message;
const bytes = {
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
};

/** All that is served, as there is no secret to give: BuildKit ends a session that doesn't say that it is well. */
const health = {
  check: { path: "/grpc.health.v1.Health/Check", requestStream: false, responseStream: false, ...bytes },
};
/** A HealthCheckResponse whose status is SERVING. */
const serving = Buffer.from([0x08, 0x01]);

/** Does something while a session is open; `use` gets its id, for the build's query. `signal` ends the wait for a session. */
export async function withSession<Result>(
  host: string,
  signal: AbortSignal,
  use: (id: string) => Promise<Result>,
): Promise<Result> {
  const id = randomUUID();
  const socket = await connect(host, id, AbortSignal.any([signal, AbortSignal.timeout(30_000)]));
  const server = new grpc.Server();
  server.addService(health, { check: (_: unknown, answer: grpc.sendUnaryData<Buffer>) => answer(null, serving) });
  server.createConnectionInjector(grpc.ServerCredentials.createInsecure()).injectConnection(socket);
  try {
    return await use(id);
  } finally {
    server.forceShutdown();
    socket.destroy();
  }
}

/** The daemon asks over the connection on which it was asked for the session. */
function connect(host: string, id: string, signal: AbortSignal): Promise<Socket> {
  const call = request({
    ...addressOf(host),
    signal,
    method: "POST",
    path: "/session",
    headers: {
      connection: "Upgrade",
      upgrade: "h2c",
      "x-docker-expose-session-uuid": id,
      "x-docker-expose-session-name": "berth",
    },
  });
  return new Promise((resolve, reject) => {
    call.once("upgrade", (_, socket: Socket, head) => {
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    call.once("response", (response) =>
      text(response).then((said) => reject(new Error(`Docker opened no session: ${said.trim()}`)), reject),
    );
    call.once("error", (error) => reject(unreachable(host, error)));
    call.end();
  });
}
