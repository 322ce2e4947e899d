/**
 * Measures the memory of an API process and a worker process on this machine, first without a session and then with 1,000
 * running sessions. The sessions' pods run on nodes that KWOK simulates.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startFleet } from "./fleet.ts";
import { report } from "./report.ts";
import { call, memoryOf } from "./runtime.ts";

const sessions = 1_000;
const [apiPort, workerPort] = [23_020, 23_030];

const changes = {
  MAX_STARTING: `${sessions}`,
  NODE_OPTIONS: "--max-old-space-size=384", // the same as in the pods: 75 % of 512Mi
};
const fleet = await startFleet({ apiPort, workerPort, changes });
try {
  const { api, worker } = fleet;
  const reportMemory = async (count: number): Promise<void> => {
    await sleep(30_000); // time for a garbage collection and for a sweep of the worker
    report(`api-with-${count}-mib`, memoryOf(api), "-");
    report(`worker-with-${count}-mib`, memoryOf(worker), "-");
  };
  await reportMemory(0);
  for (let made = 0; made < sessions; made += 1) await call(apiPort, "POST", "/v1/sessions", { tier: "small" });
  for (let running = 0, reported = 0; running < sessions; ) {
    await sleep(2_000);
    const metrics = await (await fetch(`http://127.0.0.1:${workerPort}/metrics`)).text();
    running = Number(/^berth_sessions\{state="running"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
    if (running >= reported + 100) console.error(`  ${running} of ${sessions} sessions run`);
    reported = Math.max(reported, Math.floor(running / 100) * 100);
  }
  await reportMemory(sessions);
} finally {
  await fleet.stop();
}
