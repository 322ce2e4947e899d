/** Tells whether an answer comes from the session's program, or from berthd itself because of a fault. No I/O. */
import type { IncomingMessage } from "node:http";
import { Problem } from "../../api/http/problem.ts";
import { noService } from "../../api/serviceProblem.ts";
import { podErrorOf } from "../../berthd/podError.ts";

/** Headers between the gateway and berthd; see images/berthd/internal/ports/proxy.go. */
export const portHeader = "x-berth-port";
export const sessionTokenHeader = "x-berth-session-token";
const errorHeader = "x-berth-error";

/** The Problem for the client if the answer is not from the program. Undefined if the answer is the program's. */
export function faultOf({ headers }: Pick<IncomingMessage, "headers">, port: number): Problem | undefined {
  switch (headers[errorHeader]) {
    case undefined:
      if (headers[portHeader] !== undefined) return undefined;
      return new Problem(
        409,
        "The session's pod has an old version that serves no ports. Suspend the session and resume it.",
      );
    case "nothing-listens":
      return new Problem(503, `Nothing listens on port ${port} of the session yet.`, undefined, 3);
    case "not-allowed":
      return new Problem(403, `Port ${port} is reserved for the platform.`);
    default:
      return new Problem(502, `The program on port ${port} did not answer in HTTP.`);
  }
}

/**
 * The Problem if the request could not be sent to the pod, or the answer can't be passed on. `error` says why. A refused
 * connection means that the pod has no berthd: berthd listens as long as its container runs, and Kubernetes never restarts
 * the container.
 */
export const unreachable = (error: unknown): Problem =>
  podErrorOf(error)?.kind === "absent"
    ? noService()
    : new Problem(502, "The session's pod can't be reached at the moment. Please try again.");
