/** What every log line within a request or a job tells: its ids. */
import { AsyncLocalStorage } from "node:async_hooks";

export interface LogContext {
  requestId?: string;
  tenant?: string;
  sessionId?: string;
}

const storage = new AsyncLocalStorage<LogContext>();

/** Runs `work`; lines that are logged meanwhile, however deep and late in it, carry the ids. */
export function withLogContext<T>(context: LogContext, work: () => T): T {
  return storage.run(context, work);
}

/** Adds to the ids of the request or job that is running. */
export function addToLogContext(ids: LogContext): void {
  const context = storage.getStore();
  if (context !== undefined) Object.assign(context, ids);
}

/** The ids of the request or job that is running; none outside of one. */
export function logContext(): LogContext {
  return storage.getStore() ?? {};
}
