/** Forwards the frames of a client's WebSocket in both directions, no faster than the receiver reads them. */
import type { Duplex } from "node:stream";
import { FrameGate } from "./frameGate.ts";

/**
 * How many milliseconds a client has to close its connection, after the upstream has closed its own connection or the client got a
 * Close frame. Then the client's connection is cut.
 */
const lingerMs = 2_000;

export class PassedOn {
  readonly #toClient = new FrameGate();

  /** Neither stream may have another reader. `head`: bytes of the upstream's frames that have arrived already. */
  constructor(
    private readonly client: Duplex,
    private readonly upstream: Duplex,
    head?: Buffer,
  ) {
    if (head !== undefined) this.#toClient.write(head);
    upstream.pipe(this.#toClient).pipe(client).pipe(upstream);
    // A pipe ends its target when its source ends, but not when its source breaks.
    client.once("close", () => upstream.destroy());
    upstream.once("close", () => {
      this.#toClient.end();
      this.#cutOffLater();
    });
  }

  /** Sends a Close frame with this code between two frames, and cuts the connection soon. Drops what the client still sends. */
  sendAway(code: number, why: string): void {
    this.#toClient.endWith(code, why);
    this.client.unpipe(this.upstream);
    this.client.resume();
    this.#cutOffLater();
  }

  #cutOffLater(): void {
    setTimeout(() => this.client.destroy(), lingerMs).unref();
  }
}
