/** The error for a user when a session's pod can't do what was requested. Pure: no I/O. */
import { type PodError, podErrorOf } from "../berthd/podError.ts";
import { invalidInput, Problem } from "./http/problem.ts";

/** Details of the error that depend on the request. */
export interface Asked {
  /** The input field that caused the error. Default: `body`. */
  field?: string;
  /** The status if there is no space. Default: 429, with Retry-After; 507 for requests that write to a disk. */
  full?: 429 | 507;
  /** The status if something exists already. Default: 409. */
  exists?: 409 | 412;
  /** The HTTP status if something is missing. Default: 404. Pass 400 if the request's input named the missing thing. */
  missing?: 400 | 404;
}

/** The Problem if nothing listens at the port of berthd's services in the session's pod. */
export const noService = () =>
  new Problem(
    409,
    "The session's pod lacks the service for this: an earlier version of Berth started the pod, or the pod is ending. Suspend and resume the session, or create a new one.",
  );

/** The Problem for an error of a pod's services. Other errors are returned unchanged. */
export function serviceProblem(error: unknown, asked: Asked = {}): unknown {
  if (error instanceof Problem) return error;
  const found = podErrorOf(error);
  if (found === undefined) return error;
  const problem = problemOf(found, asked);
  problem.cause = error; // for the log
  return problem;
}

function problemOf(
  { kind, message, field }: PodError,
  { field: usual = "body", full = 429, exists = 409, missing = 404 }: Asked,
): Problem {
  const wrong = () => invalidInput([{ path: [field ?? usual], message: `is not accepted: ${message}` }]);
  switch (kind) {
    case "invalid":
      return wrong();
    case "missing":
      return missing === 400 ? wrong() : new Problem(404, sentence(message));
    case "exists":
      return new Problem(exists, sentence(message));
    case "forbidden":
      return new Problem(403, sentence(message));
    case "conflict":
      return new Problem(409, sentence(message));
    case "changed":
      return new Problem(412, sentence(message));
    case "full":
      return new Problem(full, sentence(message), undefined, full === 429 ? 10 : undefined);
    case "busy":
      return new Problem(429, sentence(message), undefined, 10);
    case "range":
      return new Problem(416, sentence(message));
    case "absent":
      return noService();
    case "unreachable":
    case "canceled":
      return new Problem(503, "The session's pod can't be reached at the moment. Please try again.");
    case "broken":
      return new Problem(502, "The session's pod sent an invalid answer. Please report it.");
  }
}

/** The message of berthd as a sentence. */
const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
