/** What berthd's answer is: a session's program's, or its own word on why there is none; pure. */
import type { IncomingMessage } from "node:http";
import { Problem } from "../../api/http/problem.ts";

/** Headers between the gateway and berthd; see images/berthd/internal/ports/proxy.go. */
export const portHeader = "x-berth-port";
export const sessionTokenHeader = "x-berth-session-token";
const errorHeader = "x-berth-error";

/** Why the answer is no program's; undefined if it is one. */
export function faultOf({ headers }: Pick<IncomingMessage, "headers">, port: number): Problem | undefined {
  switch (headers[errorHeader]) {
    case undefined:
      if (headers[portHeader] !== undefined) return undefined;
      return new Problem(
        409,
        "The session's pod is of a version that serves no ports: suspend and resume the session.",
      );
    case "nothing-listens":
      return new Problem(503, `Nothing listens on port ${port} of the session yet.`, undefined, 3);
    case "not-allowed":
      return new Problem(403, `Port ${port} is the platform's own.`);
    default:
      return new Problem(502, `The program on port ${port} gave no answer in HTTP.`);
  }
}

export const unreachable = () =>
  new Problem(502, "The session's pod can't be reached at the moment. Please try again.");
