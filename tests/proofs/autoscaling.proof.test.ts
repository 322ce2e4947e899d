/**
 * The autoscalers follow the load and do not exceed the needed number of pods. The test prints what the autoscalers measured
 * and did.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { until } from "@berth/testing/until.ts";
import { AutoscalingV2Api, type V2HorizontalPodAutoscaler, Watch } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { call, cluster, keyOf } from "../berth.ts";
import { deploy, type StackFile, upOrThrow } from "../pulumi.ts";
import { startLoad } from "./load.ts";
import { inBerth, releaseQueue, withQueue } from "./platform.ts";
import { endAll } from "./sessions.ts";
import { printTable } from "./table.ts";

const jobs = 60;
const perWorker = 5;
const step = { pods: 4, seconds: 30 };
const autoscalers = cluster.makeApiClient(AutoscalingV2Api);

/** Autoscaling settings with shorter times than the defaults and with larger steps down, so that the test is faster. */
const scaling = {
  up: { window: "0s", pods: step.pods, step: `${step.seconds}s` },
  down: { window: "15s", percent: 50, step: "15s" },
};

const withApi = (api: object) => ({
  change: ({ config }: StackFile) => {
    config["berth:worker"] = { autoscaling: { min: 2, max: 20, waitingJobs: perWorker, ...scaling } };
    config["berth:api"] = { ...(config["berth:api"] as object), autoscaling: { min: 1, max: 3, ...api, ...scaling } };
  },
});

const cleanUp = new AsyncDisposableStack();

beforeAll(async () => {
  // If an autoscaler has several metrics, the message in its status names only the first one.
  await deploy(cleanUp, withApi({ requestsPerSecond: 4, cpu: 1_000, memory: 1_000 }));
  cleanUp.defer(async () => void (await inBerth(["scale", "deploy/prometheus-adapter", "--replicas=1"])));
  cleanUp.defer(async () => void (await releaseQueue()));
  await Promise.all((["acme", "globex"] as const).map(endAll)); // their jobs would count as load
  await until(
    "the worker's autoscaler wants two",
    180,
    () => wanted("worker"),
    (count) => count === 2,
  );
  for (const name of ["worker", "api"]) cleanUp.use(await follow(name));
});

afterAll(() => cleanUp.disposeAsync());

const hpa = (name: string) => autoscalers.readNamespacedHorizontalPodAutoscaler({ namespace: "berth", name });
const wanted = async (name: string) => (await hpa(name)).status?.desiredReplicas ?? 0;

/** A change of the number of pods that an autoscaler requests. */
interface Scaling {
  /** The time of the change according to the autoscaler, in seconds. */
  at: number;
  from: number;
  to: number;
  /** The message of the autoscaler's condition `ScalingActive`, which names the metric that decided. */
  because: string;
}

/** All changes since the set-up, oldest first, from a watch on the autoscalers' status. A watch misses no change. */
const scalings: Record<string, Scaling[]> = {};

/** Adds all further changes by the autoscaler to `scalings`. */
async function follow(name: string): Promise<AsyncDisposable> {
  const { metadata, status } = await hpa(name);
  const seen: Scaling[] = [];
  scalings[name] = seen;
  let last = String(status?.lastScaleTime);
  // The JSON contains times as strings.
  const take = ({ status }: V2HorizontalPodAutoscaler) => {
    const time = String(status?.lastScaleTime);
    if (status?.lastScaleTime === undefined || new Date(time).getTime() === new Date(last).getTime()) return;
    last = time;
    const active = status.conditions?.find(({ type }) => type === "ScalingActive")?.message ?? "";
    const [from, to] = [status.currentReplicas ?? 0, status.desiredReplicas];
    seen.push({ at: new Date(time).getTime() / 1_000, from, to, because: active });
  };
  const path = "/apis/autoscaling/v2/namespaces/berth/horizontalpodautoscalers";
  let resourceVersion = metadata?.resourceVersion;
  let ended = false;
  // The client ends a watch after 30 s without events. The next watch continues after the last change.
  const watch = (): Promise<AbortController> =>
    new Watch(cluster).watch(
      path,
      { fieldSelector: `metadata.name=${name}`, resourceVersion },
      (_, changed: V2HorizontalPodAutoscaler) => {
        resourceVersion = changed.metadata?.resourceVersion;
        take(changed);
      },
      async () => {
        if (!ended) controller = await watch();
      },
    );
  let controller = await watch();
  return {
    [Symbol.asyncDispose]: async () => {
      ended = true;
      controller.abort();
    },
  };
}

/**
 * Adds jobs for sessions that don't exist. A rate limit of one job per hour keeps the jobs waiting, so the autoscaler reacts
 * as if the jobs were slow.
 */
const fill = () =>
  withQueue<number>(`
    await queue.setGlobalRateLimit(1, 3_600_000);
    const job = () => ({ name: "reconcile", data: { sessionId: crypto.randomUUID() }, opts: { removeOnComplete: true } });
    await queue.addBulk(Array.from({ length: ${jobs} }, job));
    result = (await queue.getJobCounts("waiting")).waiting`);

/** Returns the value of the metric that the autoscaler gets. */
async function currentMetric(): Promise<number | undefined> {
  const path = "bullmq_waiting_jobs?labelSelector=queue%3Dagent-sessions";
  const answer = await kubectl(["get", "--raw", `/apis/external.metrics.k8s.io/v1beta1/namespaces/berth/${path}`]);
  return (JSON.parse(answer).items as { value: string }[]).map(({ value }) => Number(value))[0];
}

const show = (title: string, list: Scaling[]) =>
  printTable(
    title,
    list.map(({ at, from, to }) => ({ "after s": at - (list[0]?.at ?? 0), from, to })),
  );

let waiting = 0;

test("with 60 slow jobs, the workers scale up in steps to the number that the queue requires, and never beyond", async () => {
  const up = scalings.worker ?? [];
  waiting = await fill();
  expect(waiting).toBeGreaterThanOrEqual(jobs - 2);
  const most = Math.ceil(waiting / perWorker);
  // The metric describes the same queue, whichever of the 2, 6, 10 or 12 workers reports it.
  const seen = new Map<number, number>();
  await until(
    `the workers become ${most}`,
    240,
    async () => {
      const count = up.at(-1)?.to ?? 2;
      const metric = seen.get(count) ?? (await currentMetric());
      if (metric !== undefined && metric > 0) seen.set(count, metric);
      return { count, seen };
    },
    ({ count }) => count === most && seen.has(most),
  );
  show(`workers for ${waiting} waiting jobs, ${perWorker} each`, up);
  console.log(
    `  jobs in the metric, by number of workers: ${[...seen].map(([count, metric]) => `${count}: ${metric}`).join(", ")}`,
  );
  // If the autoscaler added up the reports of all workers, it would now start more and more workers. The wait is seven
  // periods of the autoscaler.
  await sleep(35_000);
  expect(Math.max(...up.map(({ to }) => to))).toBe(most);
  // Within the seconds of one step, the autoscaler adds at most the pods of one step. The test uses one second less,
  // because the recorded times are whole seconds.
  for (const [at, first] of up.entries())
    for (const later of up.slice(at))
      if (later.at - first.at < step.seconds - 1)
        expect(later.to - first.from, `${first.at} s to ${later.at} s`).toBeLessThanOrEqual(step.pods);
  expect(seen.size).toBeGreaterThanOrEqual(3);
  expect([...seen.values()].filter((metric) => Math.abs(metric - waiting) > 2)).toEqual([]);
});

test("without the metric, nothing scales down, even if no job waits any more", async () => {
  const before = scalings.worker?.length;
  await inBerth(["scale", "deploy/prometheus-adapter", "--replicas=0"]);
  const active = async () =>
    (await hpa("worker")).status?.conditions?.find(({ type }) => type === "ScalingActive")?.status;
  await until("the autoscaler reports that the metric is missing", 90, active, (status) => status === "False");
  await releaseQueue();
  // The wait is three times as long as the window after which the autoscaler would scale down.
  await sleep(45_000);
  expect(scalings.worker?.slice(before)).toEqual([]);
  expect(await active()).toBe("False");
});

test("when the metric is back and the queue is empty, the workers scale down in steps to the minimum", async () => {
  const before = scalings.worker?.length ?? 0;
  await inBerth(["scale", "deploy/prometheus-adapter", "--replicas=1"]);
  const down = () => scalings.worker?.slice(before) ?? [];
  await until("the workers become 2", 300, down, (list) => list.at(-1)?.to === 2);
  show("workers when no job waits", down());
  for (const { from, to } of down()) expect(to, `from ${from}`).toBeGreaterThanOrEqual(Math.floor(from / 2));
});

/** Puts the API under load until its autoscaler scales up because of the metric. Returns the autoscaler's message. */
async function apiUnderLoad(metric: string): Promise<string> {
  // The test scales down itself, because the idle CPU of a process can prevent the autoscaler from removing a second pod.
  await inBerth(["scale", "deploy/api", "--replicas=1"]);
  const before = scalings.api?.length ?? 0;
  const keys = [keyOf("acme"), keyOf("globex")];
  let turn = 0;
  const load = startLoad(16, async () => {
    turn += 1;
    const { status } = await call(keys[turn % keys.length] ?? "", "GET", "/v1/sessions");
    return status === 200 || status === 429 ? undefined : `HTTP ${status}`;
  });
  try {
    const list = await until(
      `the API's autoscaler wants more because of ${metric}`,
      180,
      () => scalings.api?.slice(before) ?? [],
      (list) => list.some(({ from, to, because }) => to > from && because.includes(metric)),
    );
    return list.find(({ from, to, because }) => to > from && because.includes(metric))?.because ?? "";
  } finally {
    const { count, failed, slowestMs } = await load.stop();
    console.log(`the API under load: ${count} requests, ${failed.length} failed, the slowest took ${slowestMs} ms`);
  }
}

test("the API's autoscaler scales up with requests per second", async () => {
  console.log(`  ${await apiUnderLoad("http_requests_per_second")}`);
});

test("the API's autoscaler scales up with CPU usage", async () => {
  await upOrThrow(withApi({ requestsPerSecond: 100_000, cpu: 5, memory: 1_000 }));
  console.log(`  ${await apiUnderLoad("cpu")}`);
});
