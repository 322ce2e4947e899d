/** Sends a client's input to a program in order, no faster than the program reads. */
import type { WebSocket } from "ws";

/** If more bytes of input than this wait for the program, the gateway stops reading from the client. */
const maxPendingBytes = 256 * 1024;

/** Runs the task as soon as all earlier tasks of the client have ended. `bytes` is the size of the task's input. */
export type Later = (bytes: number, work: () => Promise<unknown>) => void;

/**
 * Returns a function that runs the client's tasks one after the other.
 * @param failed gets the error of each task that fails; the next task runs nevertheless
 */
export function inOrder(client: WebSocket, failed: (error: unknown) => void): Later {
  let pendingBytes = 0;
  let last: Promise<unknown> = Promise.resolve();
  return (bytes, work) => {
    pendingBytes += bytes;
    if (pendingBytes > maxPendingBytes) client.pause();
    last = last
      .then(work)
      .catch(failed)
      .then(() => {
        pendingBytes -= bytes;
        if (client.isPaused && pendingBytes <= maxPendingBytes / 2) client.resume();
      });
  };
}
