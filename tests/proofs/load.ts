/** Requests at an even pace for as long as a proof takes, and what became of each. */

export interface Load {
  /** Waits for the last answers. */
  stop: () => Promise<{ count: number; failed: string[]; slowestMs: number }>;
}

/** @param request makes one and throws, or answers a reason, where it fails; undefined is success */
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
