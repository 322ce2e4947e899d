/**
 * RFB's password check (RFC 6143, 7.2.2). With the view-only password, the gateway tells the desktop's VNC server
 * that a client may only view the desktop. The server then sends the client no clipboard and ignores the client's
 * input. The password is not secret: it gives fewer rights than no password, which the server also accepts. The server
 * listens on the pod's loopback interface only, and vnc-proxy checks the gateway's token.
 */
import { createCipheriv } from "node:crypto";

/** The view-only password that berthd gives to the desktop: images/berthd/internal/supervise/desktop.go. */
export const viewPassword = "berth-vw";

/** VNC gives DES each byte of the password with the bits in reverse order. */
const reversed = (byte: number) => Number.parseInt(byte.toString(2).padStart(8, "0").split("").reverse().join(""), 2);

/** The response to the server's challenge of 16 bytes. */
export function viewResponse(challenge: Buffer): Buffer {
  const key = Buffer.from(viewPassword, "latin1").map(reversed);
  // Triple DES with three equal keys is the same as DES, which OpenSSL no longer offers.
  const cipher = createCipheriv("des-ede3", Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}
