/**
 * Counts the connections to the API that were refused. At the node port that means: no pod of the API was ready. It fails
 * the test file, except where the test itself takes the API away and says so with `allowRefusals`. From loopback a connection
 * is carried to the node port, and a refusal there arrives as a reset (local/cluster/forward.ts).
 */
import { afterAll } from "vitest";

/** What was asked for when a connection was refused. */
const unexpected: string[] = [];
let allowed = 0;
const reasons = new Set<string>();
let scopes = 0;

interface Failure {
  code?: string;
  /** The system call that failed; none where the other side has only closed the connection, which Node calls a reset too. */
  syscall?: string;
  cause?: Failure;
}

/** Whether the error of a call, of `fetch` or of a WebSocket, says that the connection was refused. */
export function isRefusal(error: unknown): boolean {
  const { code, syscall, cause } = error as Failure;
  if (code === undefined && cause !== undefined) return isRefusal(cause);
  return code === "ECONNREFUSED" || (syscall !== undefined && (code === "ECONNRESET" || code === "EPIPE"));
}

/** Counts the error if it says that the connection was refused. */
export function countIfRefused(what: string, error: unknown): void {
  if (!isRefusal(error)) return;
  if (scopes > 0) allowed += 1;
  else unexpected.push(`${new Date().toISOString()} ${what}`);
}

/** From here to the end of the scope (`using`) refusals are counted and fail nothing. `why` says who takes the API away. */
export function allowRefusals(why: string): Disposable {
  reasons.add(why);
  scopes += 1;
  return {
    [Symbol.dispose]: () => {
      scopes -= 1;
    },
  };
}

// Benchmarks use the same calls without vitest. This hook is the file's first, so it runs after all others of the file.
if (process.env.VITEST !== undefined)
  afterAll(() => {
    const why = reasons.size > 0 ? `, and ${allowed} where it is allowed: ${[...reasons].join("; ")}` : "";
    console.log(`refused connections to the API: ${unexpected.length}${why}`);
    if (unexpected.length > 0) throw new Error(`no pod of the API was ready for:\n${unexpected.join("\n")}`);
  });
