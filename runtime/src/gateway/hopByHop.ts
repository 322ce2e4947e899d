/** Headers of a message that is passed on: those of the connection that it came by stay behind; pure. */
import type { IncomingHttpHeaders } from "node:http";

/** RFC 9110, 7.6.1. `Expect` has had its answer already. */
const ofConnection = ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"];

/** The headers without those of the connection, and without those that `Connection` names. */
export function endToEnd(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const named = String(headers.connection ?? "")
    .split(",")
    .map((name) => name.trim().toLowerCase());
  const left = new Set([...ofConnection, "expect", ...named]);
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !left.has(name)));
}
