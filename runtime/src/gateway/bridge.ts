/** Carries frames between a user's WebSocket and one into the session's pod. */
import { WebSocket } from "ws";

/** With more than this on its way out, the other side is not read from, until the half of it is sent. */
export const highWaterBytes = 1024 * 1024;

/** The close code for a client that sent something that can't be understood. */
export const notUnderstoodCode = 4400;

/** A peer that hasn't answered a ping for this long is gone. */
const heartbeatMs = 30_000;

/**
 * Sends everything that `from` receives to `to`, no faster than `to` takes it. With a `filter`, only what it makes of each
 * message; if it throws, `from` is closed.
 */
export function pump(from: WebSocket, to: WebSocket, filter?: (data: Buffer) => Buffer): void {
  from.on("message", (received, isBinary) => {
    // A client that was sent away may go on sending until it answers the close.
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

/** Pings the peer, and ends the connection without ceremony once it doesn't answer. */
export function keepAlive(socket: WebSocket, intervalMs = heartbeatMs): void {
  let answered = true;
  socket.on("pong", () => {
    answered = true;
  });
  const timer = setInterval(() => {
    // Paused for backpressure: its pong may be waiting behind frames that we don't read.
    if (socket.isPaused || socket.readyState !== WebSocket.OPEN) return;
    if (!answered) return socket.terminate();
    answered = false;
    socket.ping();
  }, intervalMs);
  socket.on("close", () => clearInterval(timer));
}

/** Closes with a code and words for people; a WebSocket has room for 123 bytes of them. */
export function closeWith(socket: WebSocket, code: number, reason: string): void {
  let text = reason;
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  // A paused socket doesn't read the peer's answer to the close.
  if (socket.isPaused) socket.resume();
  socket.close(code, text);
}
