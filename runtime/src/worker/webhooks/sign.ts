/**
 * The signature of a webhook, as Standard Webhooks (standardwebhooks.com) has it, so that receivers can check it with that
 * project's libraries: HMAC-SHA256 over `<webhook-id>.<webhook-timestamp>.<body>`.
 */
import { createHmac } from "node:crypto";

/**
 * The headers for the body. `id` is the same for every attempt, so that a receiver knows a repeat; the time is that of the
 * attempt, so that it can refuse what is old. A secret `whsec_<base64>` stands for those bytes, any other text for its own.
 */
export function signedHeaders(secret: string, id: string, now: Date, body: string): Record<string, string> {
  const timestamp = String(Math.floor(now.getTime() / 1000));
  const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
  const signature = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}
