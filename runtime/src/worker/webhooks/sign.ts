/**
 * Signs webhooks as Standard Webhooks (standardwebhooks.com) specifies, so that receivers can use the libraries of that
 * project. The signature is the HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>`.
 */
import { createHmac } from "node:crypto";

/**
 * The headers for the body. `id` is the same in every attempt, so that a receiver recognizes a repetition. `now` is the
 * time of the attempt, so that a receiver can refuse old requests. A secret of the form `whsec_<base64>` is decoded;
 * any other secret is used as text.
 */
export function signedHeaders(secret: string, id: string, now: Date, body: string): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}
