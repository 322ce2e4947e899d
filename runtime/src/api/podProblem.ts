/** What a user is told when Kubernetes has no log for us. */

import { PodAccessError } from "../cluster/podAccess.ts";
import type { Session } from "../domain/session.ts";
import { Problem } from "./http/problem.ts";

/** The Problem for an error of PodAccess; `what` is what was asked for, e.g. `log`. Other errors are thrown as they are. */
export function podProblem(error: unknown, { state }: Pick<Session, "state">, what: string): Problem {
  if (!(error instanceof PodAccessError)) throw error;
  // 400: the container hasn't begun, or has been removed.
  if (error.status === 404 || error.status === 400) {
    return new Problem(409, `The session is ${state}; there is no ${what} of its agent at the moment.`);
  }
  if (error.status === 403) return new Problem(503, `The platform lacks the right to the ${what} in this namespace.`);
  return new Problem(503, "The cluster can't be reached at the moment. Please try again.");
}
