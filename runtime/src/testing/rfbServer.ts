/** The server's side of the RFB handshake, for tests without a desktop. */
import type { WebSocket } from "ws";
import { viewResponse } from "../gateway/vncAuth.ts";

const challenge = Buffer.from("0123456789abcdef");

/**
 * Does the handshake, and then passes the client's bytes to `onBytes`, beginning with ClientInit, which is one byte.
 * `types` are the security types that the server offers. Default: 1 (no password) and 2 (a password).
 */
export function serveRfb(
  socket: WebSocket,
  onBytes: (data: Buffer, isViewOnly: boolean) => void,
  types = [1, 2],
): void {
  const refuse = () => socket.send(Buffer.from([0, 0, 0, 1]));
  const accept = () => socket.send(Buffer.from([0, 0, 0, 0]));
  const steps: [length: number, answer: (bytes: Buffer) => void][] = [
    [12, () => socket.send(Buffer.from([types.length, ...types]))],
    [
      1,
      ([type]) => {
        if (type !== 2) return accept();
        socket.send(challenge);
        isViewOnly = true;
        steps.unshift([16, (bytes) => (bytes.equals(viewResponse(challenge)) ? accept() : refuse())]);
      },
    ],
  ];
  let isViewOnly = false;
  let buffer = Buffer.alloc(0);
  socket.on("message", (data: Buffer) => {
    buffer = Buffer.concat([buffer, data]);
    for (let step = steps[0]; step !== undefined && buffer.length >= step[0]; step = steps[0]) {
      steps.shift();
      const bytes = buffer.subarray(0, step[0]);
      buffer = buffer.subarray(step[0]);
      step[1](bytes);
    }
    if (steps.length > 0 || buffer.length === 0) return;
    onBytes(buffer, isViewOnly);
    buffer = Buffer.alloc(0);
  });
  socket.send(Buffer.from("RFB 003.008\n"));
}
