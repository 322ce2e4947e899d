/**
 * In place of the viewer, the gateway does the handshake (RFC 6143, 7.1) with the desktop's VNC server, and asks for the
 * server's view-only mode. The viewer does not see this, because the gateway offers the viewer "no password". RfbClient
 * parses the viewer's bytes. After the end of the handshake, the server gets the bytes that RfbClient lets through.
 *
 * RfbClient always drops the viewer's input. But if the desktop's image has no view-only password, the server does not know
 * that the client only views, and the viewer gets the desktop's clipboard.
 */
import { RfbError } from "./rfbClient.ts";
import { viewResponse } from "./vncAuth.ts";

const [none, vncAuth] = [1, 2];
const version = "RFB 003.008\n";

/** How many bytes of the viewer may wait for the end of the handshake. */
const maxHeld = 64 * 1024;

export class ViewHandshake {
  #step: "version" | "types" | "challenge" | "result" | "over" = "version";
  #buffer: Buffer = Buffer.alloc(0);
  #held: Buffer = Buffer.alloc(0);

  /**
   * Takes the viewer's bytes that RfbClient has let through, and returns the bytes to send to the server now. Throws an
   * RfbError if more than `maxHeld` bytes of the viewer wait for the end of the handshake.
   */
  fromViewer(bytes: Buffer): Buffer {
    if (this.#step === "over") return bytes;
    this.#held = Buffer.concat([this.#held, bytes]);
    if (this.#held.length > maxHeld)
      throw new RfbError(`the viewer sent more than ${maxHeld} bytes before the end of the handshake`);
    return Buffer.alloc(0);
  }

  /**
   * Takes the server's bytes, and returns the bytes to send to the viewer and to the server. Throws an RfbError if
   * the server speaks no protocol that we know.
   */
  fromServer(chunk: Buffer): { toViewer: Buffer; toServer: Buffer } {
    if (this.#step === "over") return { toViewer: chunk, toServer: Buffer.alloc(0) };
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    const [toViewer, toServer]: [Buffer[], Buffer[]] = [[], []];
    for (;;) {
      const length = this.#length();
      if (length === undefined || this.#buffer.length < length) break;
      const message = this.#buffer.subarray(0, length);
      this.#buffer = this.#buffer.subarray(length);
      this.#answer(message, toViewer, toServer);
    }
    if (this.#isOver()) {
      toViewer.push(this.#buffer);
      this.#buffer = Buffer.alloc(0);
    }
    return { toViewer: Buffer.concat(toViewer), toServer: Buffer.concat(toServer) };
  }

  #isOver(): boolean {
    return this.#step === "over";
  }

  /** The length of the server's next message; undefined: more bytes are needed, or no message is expected. */
  #length(): number | undefined {
    switch (this.#step) {
      case "version":
        return 12;
      case "types":
        return this.#buffer.length === 0 ? undefined : 1 + this.#buffer.readUInt8(0);
      case "challenge":
        return 16;
      case "result":
        return 4;
      case "over":
        return undefined;
    }
  }

  #answer(message: Buffer, toViewer: Buffer[], toServer: Buffer[]): void {
    switch (this.#step) {
      case "version":
        toViewer.push(Buffer.from(version));
        toServer.push(Buffer.from(version));
        this.#step = "types";
        return;
      case "types": {
        const types = message.subarray(1);
        const type = [vncAuth, none].find((one) => types.includes(one));
        if (type === undefined)
          throw new RfbError("the desktop's server offers no security type that the gateway supports");
        toViewer.push(Buffer.from([1, none]));
        toServer.push(Buffer.from([type]));
        this.#step = type === vncAuth ? "challenge" : "result";
        return;
      }
      case "challenge":
        toServer.push(viewResponse(message));
        this.#step = "result";
        return;
      case "result":
        if (message.readUInt32BE(0) !== 0) throw new RfbError("the desktop's server refuses the viewer");
        toViewer.push(message);
        toServer.push(this.#held);
        this.#held = Buffer.alloc(0);
        this.#step = "over";
    }
  }
}
