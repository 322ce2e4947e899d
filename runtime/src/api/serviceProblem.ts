/** What a user is told when a session's pod can't do what was asked of its services; pure. */
import { type PodError, podErrorOf } from "../pod/podError.ts";
import { invalidInput, Problem } from "./http/problem.ts";

/** What depends on what was asked for. */
export interface Asked {
  /** The field of the input that is to blame for what is wrong. Default: `body`. */
  field?: string;
  /** The status where there is no room. Default 429, with Retry-After; 507 for what writes to a disk. */
  full?: 429 | 507;
  /** The status where something is in the way. Default 409. */
  exists?: 409 | 412;
  /** The status where something is missing. Default 404; 400 where the input named what is missing. */
  missing?: 400 | 404;
}

const noService =
  "The session's pod has no service for this: it was started by an earlier version of Berth, or it is ending. Suspend and resume the session, or make a new one.";

/** The Problem for an error of a pod's services. Other errors are returned as they are. */
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
  const wrong = () => invalidInput([{ path: [field ?? usual], message: `is not taken: ${message}` }]);
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
    case "range":
      return new Problem(416, sentence(message));
    case "absent":
      return new Problem(409, noService);
    case "unreachable":
    case "canceled":
      return new Problem(503, "The session's pod can't be reached at the moment. Please try again.");
    case "broken":
      return new Problem(502, "The session's pod gave an answer that nobody understands. Please report it.");
  }
}

/** berthd's words as a sentence of their own. */
const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1).replace(/\.$/, "")}.`;
