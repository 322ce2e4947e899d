/** A minimal RFB 3.8 client (RFC 6143) over a WebSocket: enough to receive one whole frame. */
import { once } from "node:events";
import WebSocket from "ws";
/** Opens the desktop at `url` and returns its first whole frame. Rejects with the HTTP status when the upgrade is refused. */
export async function firstFrame(url, headers = {}) {
    const socket = new WebSocket(url, ["binary"], { headers });
    try {
        await opened(socket);
        const read = reader(socket);
        await read(12); // "RFB 003.008\n"
        socket.send(Buffer.from("RFB 003.008\n"));
        const securityTypes = await read((await read(1)).readUInt8());
        if (!securityTypes.includes(1))
            throw new Error(`security type None is not offered: ${[...securityTypes]}`);
        socket.send(Buffer.from([1]));
        const result = (await read(4)).readUInt32BE();
        if (result !== 0)
            throw new Error(`security result ${result}`);
        socket.send(Buffer.from([1])); // shared
        const init = await read(24);
        const [width, height] = [init.readUInt16BE(0), init.readUInt16BE(2)];
        await read(init.readUInt32BE(20)); // the desktop's name
        socket.send(Buffer.from([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0])); // SetPixelFormat
        socket.send(Buffer.from([2, 0, 0, 1, 0, 0, 0, 0])); // SetEncodings: Raw
        const request = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        request.writeUInt16BE(width, 6);
        request.writeUInt16BE(height, 8);
        socket.send(request);
        return { width, height, pixels: await update(read, width, height) };
    }
    finally {
        socket.terminate();
    }
}
/** How many different colours the frame has; a blank one has one. */
export function colours(frame) {
    const seen = new Set();
    for (let at = 0; at < frame.pixels.length; at += 4)
        seen.add(frame.pixels.readUInt32LE(at) & 0xffffff);
    return seen.size;
}
async function update(read, width, height) {
    const pixels = Buffer.alloc(width * height * 4);
    const header = await read(4);
    if (header[0] !== 0)
        throw new Error(`message ${header[0]} in place of a FramebufferUpdate`);
    for (let rectangles = header.readUInt16BE(2); rectangles > 0; rectangles--) {
        const rectangle = await read(12);
        const [x, y, w, h] = [0, 2, 4, 6].map((at) => rectangle.readUInt16BE(at));
        const data = await read(w * h * 4);
        for (let row = 0; row < h; row++)
            data.copy(pixels, ((y + row) * width + x) * 4, row * w * 4, (row + 1) * w * 4);
    }
    return pixels;
}
function reader(socket) {
    let buffer = Buffer.alloc(0);
    let wake = () => { };
    socket.on("message", (data) => {
        buffer = Buffer.concat([buffer, data]);
        wake();
    });
    let closed;
    socket.on("close", (code, reason) => {
        closed = `the desktop closed the connection: ${code} ${reason}`;
        wake();
    });
    return async (bytes) => {
        while (buffer.length < bytes) {
            if (closed !== undefined)
                throw new Error(closed);
            await new Promise((resolve) => {
                wake = resolve;
            });
        }
        const out = buffer.subarray(0, bytes);
        buffer = buffer.subarray(bytes);
        return out;
    };
}
async function opened(socket) {
    const refused = new Promise((_, reject) => {
        socket.on("unexpected-response", (_request, response) => reject(new Error(`HTTP ${response.statusCode}`)));
        socket.on("error", reject);
    });
    await Promise.race([once(socket, "open"), refused]);
}
