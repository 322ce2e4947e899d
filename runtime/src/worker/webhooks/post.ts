/** Sends one webhook. */
import http from "node:http";
import https from "node:https";
import { AddressRefused, publicLookup, refuseAddress } from "./publicAddress.ts";

/** An attempt ends after so many milliseconds, whatever has happened until then. */
const timeoutMs = 10_000;

export interface Answer {
  status: number;
  /** Seconds of its Retry-After. */
  retryAfter: number | undefined;
}

/**
 * Posts the body and returns the answer's status; no redirect is followed. Without `allowPrivate` only https to public
 * addresses is tried. Throws if there is no answer.
 */
export async function post(
  url: URL,
  headers: Record<string, string>,
  body: string,
  allowPrivate: boolean,
): Promise<Answer> {
  if (!allowPrivate) {
    if (url.protocol !== "https:") throw new AddressRefused(`${url.origin} is not https, and`);
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
        response.destroy(); // nobody reads what it says
        const retryAfter = Number(response.headers["retry-after"] ?? Number.NaN);
        resolve({ status: response.statusCode ?? 0, retryAfter: retryAfter >= 0 ? retryAfter : undefined });
      },
    );
    request.on("error", reject);
    request.end(body);
  });
}
