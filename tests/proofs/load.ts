/** Sends requests at a constant rate during a proof, and records the result of each request. */

export interface Load {
  /** Stops the load and waits for the last responses. */
  stop: () => Promise<{ count: number; failed: string[]; slowestMs: number }>;
}

/**
 * @param request makes a request. It throws an error or returns a reason if the request fails, and returns undefined on
 * success
 */
export function startLoad(perSecond: number, request: () => Promise<string | undefined>): Load {
  const failed: string[] = [];
  const open = new Set<Promise<void>>();
  let count = 0;
  let slowestMs = 0;
  const one = async () => {
    const began = performance.now();
    const reason = await request().catch((error: Error) => `${error.message}: ${error.cause ?? ""}`);
    slowestMs = Math.max(slowestMs, performance.now() - began);
    if (reason !== undefined) failed.push(`${new Date().toISOString()} ${reason}`);
  };
  const timer = setInterval(() => {
    count += 1;
    const made = one().finally(() => open.delete(made));
    open.add(made);
  }, 1_000 / perSecond);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(open);
      return { count, failed, slowestMs: Math.round(slowestMs) };
    },
  };
}
