/** The autoscalers follow the load, as far as it asks and no further; what they measured and did is printed. */
import { AutoscalingV2Api } from "@kubernetes/client-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../local/cluster/index.ts";
import { call, cluster, core, keyOf, until } from "../berth.ts";
import { up } from "../pulumi.ts";
import { startLoad } from "./load.ts";
import { inBerth, withQueue } from "./platform.ts";
import { printTable } from "./table.ts";

const minutes = 60_000;
const jobs = 60;
const perWorker = 5;
const step = { pods: 4, seconds: 30 };
const autoscalers = cluster.makeApiClient(AutoscalingV2Api);

/** The stack's own shape with shorter windows. */
const scaling = {
  up: { window: "0s", pods: step.pods, step: `${step.seconds}s` },
  down: { window: "15s", percent: 50, step: "15s" },
};

const deploy = async (api: object) => {
  const run = await up({
    change: ({ config }) => {
      config["berth:worker"] = { autoscaling: { min: 2, max: 20, waitingJobs: perWorker, ...scaling } };
      config["berth:api"] = { nodePort: 30080, autoscaling: { min: 1, max: 3, ...api, ...scaling } };
    },
  });
  expect(run.failed, run.output).toBe(false);
};

beforeAll(async () => {
  await deploy({ requestsPerSecond: 4, cpu: 1_000, memory: 1_000 }); // of several metrics the first is named
  await until(
    () => "two workers",
    180,
    async () => ((await replicas("worker")) === 2 ? true : undefined),
  );
}, 6 * minutes);

afterAll(async () => {
  try {
    await inBerth(["scale", "deploy/prometheus-adapter", "--replicas=1"]);
    await release();
  } finally {
    const back = await up();
    expect(back.failed, back.output).toBe(false);
  }
}, 4 * minutes);

const hpa = (name: string) => autoscalers.readNamespacedHorizontalPodAutoscaler({ namespace: "berth", name });
const replicas = async (name: string) => (await hpa(name)).status?.desiredReplicas ?? 0;

/** Jobs for sessions that don't exist, of which one an hour is taken: to the workers' autoscaler, jobs that take a while. */
const fill = () =>
  withQueue<number>(`
    await queue.setGlobalRateLimit(1, 3_600_000);
    const look = () => ({ name: "look", data: { sessionId: crypto.randomUUID() }, opts: { removeOnComplete: true } });
    await queue.addBulk(Array.from({ length: ${jobs} }, look));
    result = (await queue.getJobCounts("waiting")).waiting`);
const release = () => withQueue("await queue.removeGlobalRateLimit(); await queue.removeRateLimitKey()");

/** What the autoscaler is told, as often as the adapter has an answer. */
async function told(): Promise<number | undefined> {
  const path = "bullmq_waiting_jobs?labelSelector=queue%3Dagent-sessions";
  const answer = await kubectl(["get", "--raw", `/apis/external.metrics.k8s.io/v1beta1/namespaces/berth/${path}`]);
  return (JSON.parse(answer).items as { value: string }[]).map(({ value }) => Number(value))[0];
}

interface Sample {
  seconds: number;
  workers: number;
  metric: number | undefined;
}

/** Notes the number of workers every second or so until `done`. */
async function watch(what: string, seconds: number, done: (samples: Sample[]) => boolean): Promise<Sample[]> {
  const began = performance.now();
  const samples: Sample[] = [];
  await until(
    () => `${what}; the workers were ${samples.map(({ workers }) => workers).join(" ")}`,
    seconds,
    async () => {
      const workers = await replicas("worker");
      const seconds = Math.round((performance.now() - began) / 1_000);
      samples.push({ seconds, workers, metric: await told().catch(() => undefined) });
      return done(samples) ? true : undefined;
    },
  );
  return samples;
}

const changes = (samples: Sample[]) =>
  samples.filter(({ workers }, at) => at === 0 || workers !== samples[at - 1]?.workers);
const show = (title: string, samples: Sample[]) =>
  printTable(
    title,
    changes(samples).map(({ seconds, workers, metric }) => ({
      "after s": seconds,
      workers,
      "jobs told": metric ?? "-",
    })),
  );

let waiting = 0;

test(
  "60 jobs that take a while: the workers become as many as the queue asks for, step by step and never more",
  async () => {
    waiting = await fill();
    expect(waiting).toBeGreaterThanOrEqual(jobs - 2);
    const wanted = Math.ceil(waiting / perWorker);
    const samples = await watch(`${wanted} workers`, 240, (all) => all.at(-1)?.workers === wanted);
    show(`workers for ${waiting} waiting jobs, ${perWorker} each`, samples);
    // Where each worker's own report counted, they would multiply from here on.
    const settled = await watch("two more rounds of the autoscaler", 60, (all) => (all.at(-1)?.seconds ?? 0) >= 35);
    const all = [...samples, ...settled];
    expect(Math.max(...all.map(({ workers }) => workers))).toBe(wanted);
    for (const one of samples)
      for (const later of samples.filter(
        ({ seconds }) => seconds > one.seconds && seconds < one.seconds + step.seconds - 5,
      ))
        expect(later.workers - one.workers, `${one.seconds} s to ${later.seconds} s`).toBeLessThanOrEqual(step.pods);
    // The same queue, whoever reports it: 2 workers, 6, 10 or 12.
    const seen = all.filter(({ metric }) => metric !== undefined && metric > 0);
    expect(new Set(seen.map(({ workers }) => workers)).size).toBeGreaterThanOrEqual(3);
    expect(seen.filter(({ metric }) => Math.abs((metric ?? 0) - waiting) > 2)).toEqual([]);
  },
  6 * minutes,
);

test(
  "the metric is missing: nothing scales down, though nothing waits any more",
  async () => {
    const before = await replicas("worker");
    await inBerth(["scale", "deploy/prometheus-adapter", "--replicas=0"]);
    const inactive = async () =>
      (await hpa("worker")).status?.conditions?.some(
        ({ type, status }) => type === "ScalingActive" && status === "False",
      );
    await until(
      () => "an autoscaler that says that it is blind",
      90,
      async () => ((await inactive()) ? true : undefined),
    );
    await release();
    // Three times the window and step after which it would have gone down.
    const samples = await watch("some rounds without the metric", 90, (all) => (all.at(-1)?.seconds ?? 0) >= 45);
    expect(new Set(samples.map(({ workers }) => workers))).toEqual(new Set([before]));
    expect(await inactive()).toBe(true);
  },
  5 * minutes,
);

test(
  "with the metric back and the queue empty, the workers go down in steps to their least",
  async () => {
    await inBerth(["scale", "deploy/prometheus-adapter", "--replicas=1"]);
    const samples = await watch("2 workers", 300, (all) => all.at(-1)?.workers === 2);
    show("workers when nothing waits", samples);
    const levels = changes(samples).map(({ workers }) => workers);
    for (const [at, level] of levels.entries())
      if (at > 0) expect(level, levels.join(" → ")).toBeGreaterThanOrEqual(Math.floor((levels[at - 1] ?? 0) / 2));
  },
  6 * minutes,
);

/** Has the API under load until its autoscaler acts; says for which metric it did. */
async function apiUnderLoad(): Promise<string> {
  // By hand: what a pod's process needs when idle keeps the second one of an earlier load from going.
  await inBerth(["scale", "deploy/api", "--replicas=1"]);
  const began = Date.now() - 1_000;
  const keys = [keyOf("acme"), keyOf("globex")];
  let turn = 0;
  const load = startLoad(16, async () => {
    turn += 1;
    const { status } = await call(keys[turn % keys.length] ?? "", "GET", "/v1/sessions");
    return status === 200 || status === 429 ? undefined : `HTTP ${status}`;
  });
  try {
    return await until(
      () => "more pods of the API",
      180,
      async () => {
        const { items } = await core.listNamespacedEvent({
          namespace: "berth",
          fieldSelector: "involvedObject.name=api,reason=SuccessfulRescale",
        });
        const last = (event: (typeof items)[number]) => Number(event.lastTimestamp ?? event.eventTime ?? 0);
        const found = items.find((event) => last(event) >= began && /above target/.test(event.message ?? ""));
        return found?.message;
      },
    );
  } finally {
    const { count, slowestMs } = await load.stop();
    console.log(`the API under load: ${count} requests, the slowest took ${slowestMs} ms`);
  }
}

test(
  "the API's autoscaler reacts to requests per second",
  async () => {
    const message = await apiUnderLoad();
    console.log(`  ${message}`);
    expect(message).toContain("http_requests_per_second");
  },
  4 * minutes,
);

test(
  "and to CPU",
  async () => {
    await deploy({ requestsPerSecond: 100_000, cpu: 5, memory: 1_000 });
    const message = await apiUnderLoad();
    console.log(`  ${message}`);
    expect(message).toContain("cpu");
  },
  6 * minutes,
);
