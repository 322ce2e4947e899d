/** The error for a user when the log of a pod can't be read from Kubernetes. */

import { PodAccessError } from "../cluster/podAccess.ts";
import type { Session } from "../domain/session.ts";
import { Problem } from "./http/problem.ts";

/**
 * The Problem for an error of PodAccess. `what` names what was requested, such as `log`. Other errors are thrown
 * unchanged.
 */
export function podProblem(error: unknown, { state }: Pick<Session, "state">, what: string): Problem {
  if (!(error instanceof PodAccessError)) throw error;
  // 400: the container has not started yet, or it was removed.
  if (error.status === 404 || error.status === 400) {
    return new Problem(409, `The session is ${state}, and there is no ${what} of its agent at the moment.`);
  }
  if (error.status === 403) return new Problem(503, `The platform may not read the ${what} in the tenant's namespace.`);
  return new Problem(503, "The cluster can't be reached at the moment. Please try again.");
}
