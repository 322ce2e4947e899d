/** Sends one webhook. */
import http from "node:http";
import https from "node:https";
import { publicLookup, refuseAddress } from "./publicAddress.ts";

/** An attempt fails if it is not over after this many milliseconds. */
const timeoutMs = 10_000;

export interface Answer {
  status: number;
  /** The number of seconds in the answer's Retry-After header; undefined if there is none, or if it contains a date. */
  retryAfter: number | undefined;
}

/**
 * Posts the body and returns the status of the answer. Redirects are not followed. Without `allowPrivate`, only https
 * to public addresses is allowed. Throws if the URL is not allowed or there is no answer.
 */
export async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
  allowPrivate: boolean,
): Promise<Answer> {
  if (!allowPrivate) {
    if (url.protocol !== "https:") throw new Error(`${url.origin} is not allowed, because webhooks must use https`);
    refuseAddress(url);
  }
  return new Promise((resolve, reject) => {
    const request = (url.protocol === "https:" ? https : http).request(
      url,
      {
        method: "POST",
        headers: { ...headers, "content-type": "application/json", "user-agent": "Berth-Webhooks/1" },
        agent: false,
        signal: AbortSignal.timeout(timeoutMs),
        ...(!allowPrivate && { lookup: publicLookup }),
      },
      (response) => {
        response.destroy(); // the body of the answer is not needed
        const retryAfter = Number(response.headers["retry-after"] ?? Number.NaN);
        resolve({ status: response.statusCode ?? 0, retryAfter: retryAfter >= 0 ? retryAfter : undefined });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
