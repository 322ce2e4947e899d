/** Measures the time from the start of an API process until it is ready, with an empty database. */
import { setTimeout as sleep } from "node:timers/promises";
import { median, report } from "./report.ts";
import { startRuntime } from "./runtime.ts";

const firstPort = 23_170;
const starts = 7;

/**
 * Waits until the process answers that it is ready. Returns the time of this answer. Asks every 5 ms, more often than
 * `Runtime.start`, because the benchmark measures this time.
 */
async function readyAt(port: number): Promise<number> {
  const isReady = () =>
    fetch(`http://127.0.0.1:${port}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) await sleep(5);
  return performance.now();
}

const runtime = await startRuntime();
try {
  const seconds: number[] = [];
  for (let start = 0; start < starts; start += 1) {
    const port = firstPort + 10 * start;
    const began = performance.now();
    const [at] = await Promise.all([readyAt(port), runtime.start("api", port)]);
    seconds.push((at - began) / 1_000);
  }
  console.error(`  each of the ${starts} starts: ${seconds.map((one) => one.toFixed(2)).join(", ")} s`);
  report("api-ready-seconds", median(seconds), "<=1");
} finally {
  await runtime.stop();
}
