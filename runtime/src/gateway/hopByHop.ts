/**
 * Removes the hop-by-hop headers from a message that is forwarded, because they apply to one connection only. No I/O.
 */
import type { IncomingHttpHeaders } from "node:http";

/** The hop-by-hop headers of RFC 9110, section 7.6.1. */
const ofConnection = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/**
 * The headers without the hop-by-hop headers, without the headers that `Connection` names, and without `Expect`, because the
 * server that received the message has already answered `Expect`.
 */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = String(headers.connection ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase());
  const left = new Set([...ofConnection, "expect", ...named]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !left.has(name)));
}
