/** The ids of the running request or job. Every log line that is written for the request or job contains them. */
import { AsyncLocalStorage } from "node:async_hooks";

export interface LogContext {
  requestId?: string;
  tenant?: string;
  sessionId?: string;
}

const storage = new AsyncLocalStorage<LogContext>();

/** Runs `work`. All log lines of `work`, also from asynchronous calls, contain the ids. */
export function withLogContext<T>(context: LogContext, work: () => T): T {
  return storage.run(context, work);
}

/** Adds ids to the log context of the running request or job. */
export function addToLogContext(ids: LogContext): void {
  const context = storage.getStore();
  if (context !== undefined) Object.assign(context, ids);
}

/** The ids of the running request or job; empty outside of a request or job. */
export function logContext(): LogContext {
  return storage.getStore() ?? {};
}
