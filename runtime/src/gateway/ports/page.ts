/**
 * The gateway's own answer to the client, if the gateway refuses the request or the session's program gives no answer: a
 * page for a browser, a Problem in JSON for any other client. No I/O.
 */
import type { ProblemBody } from "../../api/http/problem.ts";

const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escaped = (text: string) => text.replace(/[&<>"']/g, (sign) => escapes[sign] ?? "");

/** After how many seconds a page with the status 503 reloads itself, because a retry can help. */
const againSeconds = 3;

export interface Said {
  headers: Record<string, string>;
  body: string;
}

/** @param accept the client's `Accept` header */
export function said(problem: ProblemBody, accept: string | undefined, retryAfterSeconds?: number): Said {
  const isForPeople = (accept ?? "").includes("text/html");
  const headers = {
    "content-type": isForPeople ? "text/html; charset=utf-8" : "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
    ...(problem.status === 401 && { "www-authenticate": "Bearer" }),
    ...(retryAfterSeconds !== undefined && { "retry-after": String(retryAfterSeconds) }),
  };
  return { headers, body: isForPeople ? pageOf(problem) : JSON.stringify(problem) };
}

const pageOf = ({ status, title, detail }: ProblemBody) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">${
  status === 503 ? `\n<meta http-equiv="refresh" content="${againSeconds}">` : ""
}
<title>${status} ${escaped(title)}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}</style>
<h1>${escaped(headline(status))}</h1>
<p>${escaped(detail)}</p>
<p><small>Berth · ${status}</small></p>
</html>
`;

function headline(status: number): string {
  if (status === 401 || status === 403) return "This needs a link";
  if (status === 404) return "There is nothing here";
  if (status === 503) return "Nothing answers yet";
  return "This did not work";
}
