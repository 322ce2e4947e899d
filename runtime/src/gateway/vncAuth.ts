/**
 * RFB's own password check (RFC 6143, 7.2.2), by which the gateway tells the desktop's VNC server that a client may only look:
 * the server then sends it no clipboard and takes no input from it, whatever it sends. No secret: the server listens inside
 * its pod, and only the gateway reaches it.
 */
import { createCipheriv } from "node:crypto";

/** The view-only password that berthd gives to the desktop: images/berthd/internal/supervise/desktop.go. */
export const viewPassword = "berth-vw";

/** DES takes each byte of the password with its bits in reverse order, as all VNC does. */
const reversed = (byte: number) => Number.parseInt(byte.toString(2).padStart(8, "0").split("").reverse().join(""), 2);

/** The answer to the server's challenge of 16 bytes. */
export function viewResponse(challenge: Buffer): Buffer {
  const key = Buffer.from(viewPassword, "latin1").map(reversed);
  // Triple DES with one key three times is DES, which OpenSSL doesn't offer any more.
  const cipher = createCipheriv("des-ede3", Buffer.concat([key, key, key]), null).setAutoPadding(false);
  return Buffer.concat([cipher.update(challenge), cipher.final()]);
}
