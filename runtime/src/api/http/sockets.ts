/** Connections that do nothing: closed after a while, and no more of them than a process can bear. */
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** Connections that a port takes at most; one costs some kilobytes. */
export const maxConnections = 20_000;

/** Milliseconds that an unknown client's connection may do nothing, before its first request and after each. */
const idleMs = 10_000;

/**
 * Options of an HTTP server: a connection has `ms` milliseconds for its first request's headers, be it silent or slow, and is
 * closed within a quarter more.
 */
export const idleOptions = (ms = idleMs) => ({
  headersTimeout: ms,
  connectionsCheckingInterval: Math.ceil(ms / 4),
});

/**
 * Has the server refuse connections beyond `total`, and those of an address beyond `perAddress` (default: no such limit,
 * because many users may come from one proxy). Costs one number per address that is connected.
 */
export function capConnections(server: Server, total: number, perAddress = Number.POSITIVE_INFINITY): void {
  server.maxConnections = total;
  const open = new Map<string, number>();
  server.on("connection", (socket) => {
    const address = socket.remoteAddress ?? "";
    const count = (open.get(address) ?? 0) + 1;
    if (count > perAddress) return void socket.destroy();
    open.set(address, count);
    socket.once("close", () => {
      const left = (open.get(address) ?? 1) - 1;
      if (left > 0) open.set(address, left);
      else open.delete(address);
    });
  });
}

/**
 * Closes the connection, whose answer has ended, when it does nothing for `ms` milliseconds from now, where the server would
 * wait for longer. One that has its next request already is left alone.
 */
export function closeWhenIdle(socket: Pick<Socket, "timeout" | "setTimeout">, ms = idleMs): void {
  if ((socket.timeout ?? 0) > ms) socket.setTimeout(ms);
}
