/** Closes idle connections, and limits the number of open connections. */
import type { Server } from "node:http";
import type { Socket } from "node:net";

/** The maximum number of connections to a port. Each connection costs some kilobytes. */
export const maxConnections = 20_000;

/**
 * How many milliseconds the connection of an unknown client may be idle, before its first request and after each
 * request.
 */
const idleMs = 10_000;

/**
 * Options of an HTTP server: the headers of a connection's first request must arrive within `ms` milliseconds.
 * Otherwise the connection is closed at most a quarter of that time later.
 */
export const idleOptions = (ms = idleMs) => ({
  headersTimeout: ms,
  connectionsCheckingInterval: Math.ceil(ms / 4),
});

/**
 * Lets the server refuse connections beyond `total`, and beyond `perAddress` from one address (default: no such limit,
 * because many users may share one proxy). Stores one number per connected address.
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
 * Closes a connection after its answer if the connection is idle for `ms` milliseconds from now, which is less than the
 * server's own limit. A connection with a further request stays open.
 */
export function closeWhenIdle(socket: Pick<Socket, "timeout" | "setTimeout">, ms = idleMs): void {
  if ((socket.timeout ?? 0) > ms) socket.setTimeout(ms);
}
