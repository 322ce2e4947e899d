/**
 * Compares cold sessions with pairs on the fake nodes: one at a time, and 300 at the same time. A pair is a bare Secret and a
 * bare pod with the spec of a session's pod. The times end when the session runs, or when the pair's pod is ready. This program
 * requests both the sessions and the pairs.
 */
import { randomBytes } from "node:crypto";
import { until } from "@berth/testing/until.ts";
import { type V1Pod, type V1PodSpec, Watch } from "@kubernetes/client-node";
import { bareSpec, isReady } from "./bare-pod.ts";
import { fakeNodes } from "./fake-nodes.ts";
import { inParallel, namespaceOf, podsGone, startFleet } from "./fleet.ts";
import { median, report } from "./report.ts";
import { call } from "./runtime.ts";

const [apiPort, workerPort] = [23_130, 23_140];
/** In each round: how many sessions or pairs start one after another, and how many start at the same time. */
const [single, burst] = [10, 300];
const rounds = 5;
const namespace = namespaceOf("bench");

const fleet = await startFleet({ apiPort, workerPort });
const { core, config, runtime } = fleet;
const database = runtime.database();

/** How many sessions of all tenants may be starting at the same time now. Undefined as long as the worker is not the leader. */
async function startLimit(): Promise<number | undefined> {
  const text = await (await fetch(`http://127.0.0.1:${workerPort}/metrics`)).text();
  const limit = /^berth_start_limit (\d+)$/m.exec(text)?.[1];
  return limit === undefined ? undefined : Number(limit);
}

/** Starts sessions at the same time. Returns their ids, the seconds until all run, and the highest start limit meanwhile. */
async function sessions(count: number): Promise<{ ids: string[]; seconds: number; limit: number }> {
  const began = Date.now();
  const made = inParallel(count, () => call<{ id: string }>(apiPort, "POST", "/v1/sessions", { tier: "small" }));
  const ids = (await made).map(({ id }) => id);
  let [limit, lookedAt] = [0, 0];
  const last = await until(`${count} sessions run`, 180, async () => {
    if (performance.now() - lookedAt > 1_000) {
      lookedAt = performance.now();
      limit = Math.max(limit, (await startLimit()) ?? 0);
    }
    const { rows } = await database.query(
      "SELECT count(*)::integer AS running, max(state_since) AS last FROM sessions WHERE state = 'running' AND id = any($1)",
      [ids],
    );
    return rows[0].running === count && (rows[0].last as Date);
  });
  return { ids, seconds: (last.getTime() - began) / 1_000, limit };
}

/** Starts a session as a client that waits for it, and ends the session. Returns the seconds until it runs. */
async function oneSession(): Promise<number> {
  const began = performance.now();
  const path = "/v1/sessions?wait=running";
  const { id, state } = await call<{ id: string; state: string }>(apiPort, "POST", path, { tier: "small" });
  const seconds = (performance.now() - began) / 1_000;
  if (state !== "running") throw new Error(`the session is ${state} after ${seconds} s`);
  await end([id]);
  return seconds;
}

async function end(ids: string[]): Promise<void> {
  await inParallel(ids.length, (index) => call(apiPort, "DELETE", `/v1/sessions/${ids[index]}`));
  await podsGone(core, namespace);
}

/**
 * Creates pairs at the same time. Returns the seconds until all pods are ready. `secret`: the name of the secret in the spec.
 */
async function pairs(count: number, spec: V1PodSpec, secret: string): Promise<number> {
  const group = randomBytes(4).toString("hex");
  const labelSelector = `${fakeNodes}=${group}`;
  const ready = new Set<string>();
  let last = 0;
  const noteReady = (_type: string, pod: V1Pod) => {
    const name = pod.metadata?.name;
    if (name === undefined || ready.has(name) || !isReady(pod)) return;
    ready.add(name);
    last = performance.now();
  };
  const watch = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/pods`,
    { labelSelector },
    noteReady,
    () => {},
  );
  const began = performance.now();
  await inParallel(count, async (index) => {
    const metadata = { name: `bench-${group}-${index}`, labels: { [fakeNodes]: group } };
    const volumes = (spec.volumes ?? []).map((volume) =>
      volume.secret?.secretName === secret
        ? { ...volume, secret: { ...volume.secret, secretName: metadata.name } }
        : volume,
    );
    await core.createNamespacedSecret({ namespace, body: { metadata, stringData: { tokens: "a token" } } });
    await core.createNamespacedPod({ namespace, body: { metadata, spec: { ...spec, volumes } } });
  });
  await until("all pairs are ready", 180, () => ready.size === count);
  watch.abort();
  await core.deleteCollectionNamespacedPod({ namespace, labelSelector });
  await core.deleteCollectionNamespacedSecret({ namespace, labelSelector });
  await podsGone(core, namespace);
  return (last - began) / 1_000;
}

try {
  await database.connect();
  await until("the worker is the leader", 60, startLimit);
  const first = await sessions(1);
  const name = `agent-${first.ids[0]}`;
  const spec = bareSpec(await core.readNamespacedPod({ namespace, name }));
  await end(first.ids);
  await end((await sessions(burst)).ids); // so that the code is compiled
  const [colds, ratios, limits] = [[] as number[], [] as number[], [] as number[]];
  for (let round = 0; round < rounds; round += 1) {
    // Each round measures both variants, because the load of other work on the machine changes.
    const [pair, cold] = [[] as number[], [] as number[]];
    for (let start = 0; start < single; start += 1) {
      pair.push(await pairs(1, spec, name));
      cold.push(await oneSession());
    }
    console.error(
      `  one pair ${(1_000 * median(pair)).toFixed(0)} ms, one session ${(1_000 * median(cold)).toFixed(0)} ms`,
    );
    colds.push(median(cold) / median(pair));
    const least = await pairs(burst, spec, name);
    const { ids, seconds, limit } = await sessions(burst);
    await end(ids);
    console.error(
      `  ${burst} pairs ${least.toFixed(1)} s, sessions ${seconds.toFixed(1)} s, start limit up to ${limit}`,
    );
    ratios.push(seconds / least);
    limits.push(limit);
  }
  report("cold-start-over-pair", median(colds), "<=2");
  report(`burst-of-${burst}-over-pairs`, median(ratios), "<=1.5");
  // 10 is the limit as long as nothing is known about the nodes.
  report(`burst-of-${burst}-start-limit`, median(limits), ">=20");
} finally {
  await database.end();
  await fleet.stop();
}
