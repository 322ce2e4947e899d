/** Forwards frames between a user's WebSocket and a WebSocket to the session's pod. */
import { WebSocket } from "ws";

/**
 * If more bytes than this wait to be sent to one of the two WebSockets, the gateway stops reading from the other WebSocket until
 * half of the bytes are sent.
 */
export const highWaterBytes = 1024 * 1024;

/** The close code for a client that sent an invalid message. */
export const notUnderstoodCode = 4400;

/** A peer that does not answer a ping within this time, in milliseconds, is disconnected. */
const heartbeatMs = 30_000;

/**
 * Sends all messages of `from` to `to`, no faster than `to` reads. With a `filter`, sends what the filter returns for
 * each message; if the filter throws an error, closes `from`.
 */
export function pump(from: WebSocket, to: WebSocket, filter?: (data: Buffer) => Buffer): void {
  from.on("message", (received, isBinary) => {
    // A client that we disconnect may go on sending until it answers the close.
    if (to.readyState !== WebSocket.OPEN || from.readyState !== WebSocket.OPEN) return;
    let data = received as Buffer;
    try {
      data = filter?.(data) ?? data;
    } catch (error) {
      return closeWith(from, notUnderstoodCode, (error as Error).message);
    }
    if (data.length === 0) return;
    to.send(data, { binary: isBinary }, () => {
      if (from.isPaused && to.bufferedAmount <= highWaterBytes / 2) from.resume();
    });
    if (to.bufferedAmount > highWaterBytes) from.pause();
  });
}

/**
 * Pings the peer at intervals. If the peer has not answered when the next ping is due, cuts the connection without a Close
 * frame.
 */
export function keepAlive(socket: WebSocket, intervalMs = heartbeatMs): void {
  let answered = true;
  socket.on("pong", () => {
    answered = true;
  });
  const timer = setInterval(() => {
    // While the socket is paused for backpressure, the pong may be behind frames that we have not read yet.
    if (socket.isPaused || socket.readyState !== WebSocket.OPEN) return;
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, intervalMs);
  socket.on("close", () => clearInterval(timer));
}

/** Closes the socket with a code, and with a reason that a user can read. */
export function closeWith(socket: WebSocket, code: number, reason: string): void {
  // A paused socket would not read the peer's answer to the close.
  if (socket.isPaused) socket.resume();
  socket.close(code, closeReason(reason));
}

/** The reason, cut to the 123 bytes that a Close frame has room for. */
export function closeReason(reason: string): string {
  let text = reason;
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  return text;
}
