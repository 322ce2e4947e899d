/**
 * Counts refused connections to the API. A refusal at the node port means that no pod of the API was ready. At the end of a
 * test file, the number of refusals is printed, and one or more refusals make the file fail, except for those that happened
 * while the test itself stopped the API (`allowRefusals`). A forwarder connects loopback to the node port, so clients on loopback
 * see a refusal as a connection reset (local/cluster/forward.ts).
 */
import { afterAll } from "vitest";

/** The requests whose connections were refused. */
const unexpected: string[] = [];
let allowed = 0;
const reasons = new Set<string>();
let scopes = 0;

interface Failure {
  code?: string;
  /**
   * The system call that failed. Undefined if the server only closed the connection, which Node.js also reports as a reset.
   */
  syscall?: string;
  cause?: Failure;
}

/** Whether the error of a call, a `fetch` or a WebSocket means that the connection was refused. */
export function isRefusal(error: unknown): boolean {
  const { code, syscall, cause } = error as Failure;
  if (code === undefined && cause !== undefined) return isRefusal(cause);
  return code === "ECONNREFUSED" || (syscall !== undefined && (code === "ECONNRESET" || code === "EPIPE"));
}

/**
 * Counts the error if it means that the connection was refused. Other errors are not counted. `what` names the call in the
 * message.
 */
export function countIfRefused(what: string, error: unknown): void {
  if (!isRefusal(error)) return;
  if (scopes > 0) allowed += 1;
  else unexpected.push(`${new Date().toISOString()} ${what}`);
}

/**
 * From this call to the end of the scope (`using`), refusals are counted and printed, but make no test file fail. `why` says
 * what stops the API.
 */
export function allowRefusals(why: string): Disposable {
  reasons.add(why);
  scopes += 1;
  return {
    [Symbol.dispose]: () => {
      scopes -= 1;
    },
  };
}

// Benchmarks use the same calls without vitest. The hook is registered first, so it runs after all other hooks of the file.
if (process.env.VITEST !== undefined)
  afterAll(() => {
    const why = reasons.size > 0 ? `, and ${allowed} allowed refusals: ${[...reasons].join("; ")}` : "";
    console.log(`refused connections to the API: ${unexpected.length}${why}`);
    if (unexpected.length > 0) throw new Error(`no pod of the API was ready for:\n${unexpected.join("\n")}`);
  });
