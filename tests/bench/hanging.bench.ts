/**
 * Compares the time from POST until a session runs, one session per second, with and without 100 sessions of another tenant
 * whose starts hang: their pods get a node of the fake nodes, and never become ready.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@berth/testing/until.ts";
import { inParallel, namespaceOf, podsGone, startFleet } from "./fleet.ts";
import { median, report } from "./report.ts";
import { call, neighbourKey } from "./runtime.ts";

const [apiPort, workerPort] = [23_150, 23_160];
const rounds = 5;
const [hangingStarts, hanging] = [100, "berth.dev/tenant=neighbour"];
/** After 30 s, a start counts as late. So the second measurement of a round, with one start per second, takes 40 s or more. */
const [quietStarts, starts] = [10, 40];

const fleet = await startFleet({ apiPort, workerPort, hanging });
const { core } = fleet;

/** Starts sessions, one per second, and ends each. Returns the seconds that each start took. */
async function times(count: number): Promise<number[]> {
  const all: number[] = [];
  for (let made = 0; made < count; made += 1) {
    const began = performance.now();
    const path = "/v1/sessions?wait=running";
    const { id, state } = await call<{ id: string; state: string }>(apiPort, "POST", path, { tier: "small" });
    if (state !== "running") throw new Error(`a session is ${state} after ${performance.now() - began} ms`);
    all.push((performance.now() - began) / 1_000);
    await call(apiPort, "DELETE", `/v1/sessions/${id}`);
    await sleep(Math.max(0, 1_000 - (performance.now() - began)));
  }
  return all;
}

try {
  await times(10); // so that the code is compiled
  const [ratios, besides, admitted] = [[] as number[], [] as number[], [] as number[]];
  for (let round = 0; round < rounds; round += 1) {
    const quiet = median(await times(quietStarts));
    const made = inParallel(hangingStarts, () =>
      call<{ id: string }>(apiPort, "POST", "/v1/sessions", { tier: "small" }, neighbourKey),
    );
    const ids = (await made).map(({ id }) => id);
    const namespace = namespaceOf("neighbour");
    const pods = async () => (await core.listNamespacedPod({ namespace })).items.length;
    await until("starts hang", 60, pods);
    const beside = await times(starts);
    admitted.push(await pods());
    await inParallel(ids.length, (index) =>
      call(apiPort, "DELETE", `/v1/sessions/${ids[index]}`, undefined, neighbourKey),
    );
    await podsGone(core, namespace, hanging);
    const [usual, most] = [median(beside), Math.max(...beside)];
    console.error(
      `  median start: alone ${(1_000 * quiet).toFixed(0)} ms, while other starts hang ${(1_000 * usual).toFixed(0)} ms,`,
      `at most ${(1_000 * most).toFixed(0)} ms; ${admitted.at(-1)} starts hung`,
    );
    ratios.push(usual / quiet);
    besides.push(...beside);
  }
  report("start-beside-100-hanging", median(ratios), "<=1.3");
  report("start-beside-100-hanging-seconds-max", Math.max(...besides), "-");
  report("hanging-starts-with-a-pod", median(admitted), "-");
} finally {
  await fleet.stop();
}
