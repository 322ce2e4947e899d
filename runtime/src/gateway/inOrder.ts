/** What a client sends to a program, in its order and no faster than the program takes it. */
import type { WebSocket } from "ws";

/** With more input than this on its way to the program, in bytes, the client is not read from. */
const maxWaitingBytes = 256 * 1024;

/** What does one thing after the other for the client; `bytes` is how much input it holds. */
export type Later = (bytes: number, work: () => Promise<unknown>) => void;

/** @param failed called with the error of each work that failed; the next one is done all the same */
export function inOrder(client: WebSocket, failed: (error: unknown) => void): Later {
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();
  return (bytes, work) => {
    waiting += bytes;
    if (waiting > maxWaitingBytes) client.pause();
    last = last
      .then(work)
      .catch(failed)
      .then(() => {
        waiting -= bytes;
        if (client.isPaused && waiting <= maxWaitingBytes / 2) client.resume();
      });
  };
}
