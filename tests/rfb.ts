/** A minimal RFB 3.8 client (RFC 6143) over a WebSocket. It can receive one complete frame. */
import { once } from "node:events";
import { patience } from "@berth/testing/until.ts";
import WebSocket from "ws";
import { countIfRefused } from "./refusals.ts";

export interface Frame {
  width: number;
  height: number;
  /** The pixels, row by row, with four bytes for each pixel: blue, green, red, unused. */
  pixels: Buffer;
}

/**
 * Connects to the desktop at `url` and returns its first complete frame. If the upgrade is refused, the error has the HTTP
 * status.
 */
export async function firstFrame(url: string, headers: Record<string, string> = {}): Promise<Frame> {
  const { socket, read, width, height } = await openDesktop(url, headers);
  try {
    socket.send(Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])); // SetPixelFormat
    socket.send(Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])); // SetEncodings: Raw
    requestFrame(socket, width, height);
    return { width, height, pixels: await update(read, width, height) };
  } finally {
    socket.terminate();
  }
}

/**
 * Sends a click into the middle of the desktop, and the keys for the text. Does not check whether the desktop accepts the click
 * and the keys.
 */
export async function typeBlindly(url: string, text: string, headers: Record<string, string> = {}): Promise<void> {
  const { socket, read, width, height } = await openDesktop(url, headers);
  try {
    for (const buttons of [1, 0]) {
      const pointer = Buffer.from([5, buttons, 0, 0, 0, 0]);
      pointer.writeUInt16BE(width / 2, 2);
      pointer.writeUInt16BE(height / 2, 4);
      socket.send(pointer);
    }
    for (const letter of text) {
      for (const down of [1, 0]) {
        const key = Buffer.from([4, down, 0, 0, 0, 0, 0, 0]);
        key.writeUInt32BE(letter === "\n" ? 0xff0d : letter.charCodeAt(0), 4);
        socket.send(key);
      }
    }
    // The server handles messages in order, so a reply to this request means that it has handled all earlier messages.
    socket.send(Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])); // SetEncodings: Raw
    requestFrame(socket, 1, 1);
    await update(read, 1, 1);
  } finally {
    socket.terminate();
  }
}

/**
 * Performs the handshake without a password, as one of several clients. Throws if the desktop can't be opened. If the reason is
 * a refused TCP connection, the refusal is also counted (refusals.ts), so the test file fails unless it allows refusals.
 */
export async function openDesktop(url: string, headers: Record<string, string> = {}) {
  const socket = new WebSocket(url, ["binary"], { headers });
  // The reader starts before the connection opens, because the desktop's first message may arrive together with the upgrade
  // response.
  const read = reader(socket);
  try {
    await opened(socket);
    await read(12); // "RFB 003.008\n"
    socket.send(Buffer.from("RFB 003.008\n"));
    const securityTypes = await read((await read(1)).readUInt8());
    if (!securityTypes.includes(1)) throw new Error(`security type None is not offered: ${[...securityTypes]}`);
    socket.send(Buffer.from([1]));
    const result = (await read(4)).readUInt32BE();
    if (result !== 0) throw new Error(`the desktop refused the connection: security result ${result}`);
    socket.send(Buffer.from([1])); // shared
    const init = await read(24);
    await read(init.readUInt32BE(20)); // the desktop's name
    return { socket, read, width: init.readUInt16BE(0), height: init.readUInt16BE(2) };
  } catch (error) {
    countIfRefused("a desktop's WebSocket", error);
    socket.terminate();
    throw error;
  }
}

function requestFrame(socket: WebSocket, width: number, height: number): void {
  const request = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  request.writeUInt16BE(width, 6);
  request.writeUInt16BE(height, 8);
  socket.send(request);
}

/** Counts the different colours of the frame. A blank frame has one colour. */
export function colours(frame: Frame): number {
  const seen = new Set<number>();
  for (let at = 0; at < frame.pixels.length; at += 4) seen.add(frame.pixels.readUInt32LE(at) & 0xffffff);
  return seen.size;
}

async function update(read: Read, width: number, height: number): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 4);
  const header = await read(4);
  if (header[0] !== 0)
    throw new Error(`the desktop sent a message of the type ${header[0]} in place of a FramebufferUpdate`);
  for (let rectangles = header.readUInt16BE(2); rectangles > 0; rectangles--) {
    const rectangle = await read(12);
    const [x, y, w, h] = [0, 2, 4, 6].map((at) => rectangle.readUInt16BE(at)) as [number, number, number, number];
    const data = await read(w * h * 4);
    for (let row = 0; row < h; row++) data.copy(pixels, ((y + row) * width + x) * 4, row * w * 4, (row + 1) * w * 4);
  }
  return pixels;
}

type Read = (bytes: number) => Promise<Buffer>;

/** After this time without data, the desktop counts as silent. */
const silenceMs = 30_000 * patience;

function reader(socket: WebSocket): Read {
  let buffer = Buffer.alloc(0);
  let wake = () => {};
  socket.on("message", (data: Buffer) => {
    buffer = Buffer.concat([buffer, data]);
    wake();
  });
  let closed: string | undefined;
  socket.on("close", (code, reason) => {
    closed = `the desktop closed the connection: ${code} ${reason}`;
    wake();
  });
  return async (bytes) => {
    while (buffer.length < bytes) {
      if (closed !== undefined) throw new Error(closed);
      await new Promise<void>((resolve, reject) => {
        const silent = () => reject(new Error(`the desktop is silent: ${buffer.length} of ${bytes} bytes arrived`));
        const timer = setTimeout(silent, silenceMs);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    const out = buffer.subarray(0, bytes);
    buffer = buffer.subarray(bytes);
    return out;
  };
}

async function opened(socket: WebSocket): Promise<void> {
  const refused = new Promise<never>((_, reject) => {
    socket.on("unexpected-response", (_request, response) => reject(new Error(`HTTP ${response.statusCode}`)));
    socket.on("error", reject);
  });
  await Promise.race([once(socket, "open"), refused]);
}
