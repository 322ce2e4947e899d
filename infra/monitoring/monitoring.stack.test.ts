/** Tests on the deployed stack `dev` that Prometheus measures all pods, evaluates the alerts and serves the autoscalers. */
import { until } from "@berth/testing/until.ts";
import { expect, test, vi } from "vitest";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { machine } from "../../machine/machine.ts";
import { configSchema } from "../config/config.ts";
import { readCluster } from "../kubernetes/cluster.ts";
import { conflicts } from "../platform/conflicts.ts";
import { alertName } from "./alerts/index.ts";
import { rows } from "./dashboard-panels.ts";
import { requestsPerSecond, waitingJobs } from "./queries.ts";

const { context, kubeconfig, nodeIp } = machine;

const raw = async (path: string) => JSON.parse(await kubectl(["get", "--raw", path]));
const prometheus = async (path: string, query: Record<string, string> = {}) => {
  const proxy = "/api/v1/namespaces/berth/services/prometheus:9090/proxy/api/v1";
  const { status, data } = await raw(`${proxy}/${path}?${new URLSearchParams(query)}`);
  expect(status).toBe("success");
  return data;
};
/** Repeats the check until it succeeds, because Prometheus measures a new stack only after a minute or two. */
const soon = (what: string, check: () => Promise<void>) => until(what, 120, () => check().then(() => true));

test("the adapter serves the number of waiting jobs as one value in any namespace", async () => {
  const path = "bullmq_waiting_jobs?labelSelector=queue%3Dagent-sessions";
  for (const namespace of ["berth", "default"])
    await soon(`the adapter serves the queue's length in the namespace ${namespace}`, async () => {
      const { items } = await raw(`/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${path}`);
      expect(items).toEqual([expect.objectContaining({ metricLabels: { queue: "agent-sessions" } })]);
      expect(items[0].value).toMatch(/^\d+$/);
    });
});

test("the adapter serves the request rate of each API pod, also of pods without requests", async () => {
  const pods = "/apis/custom.metrics.k8s.io/v1beta1/namespaces/berth/pods/*/http_requests_per_second";
  await soon("the adapter serves each pod's request rate", async () => {
    const { items } = await raw(`${pods}?labelSelector=app.kubernetes.io%2Fname%3Dapi`);
    expect(items.length).toBeGreaterThan(0);
    for (const { value } of items) expect(value).toMatch(/^\d+m?$/);
  });
});

test("the autoscalers get all of their metrics", async () => {
  await soon("all autoscalers see their metrics", async () => {
    const { items } = JSON.parse(await kubectl(["get", "hpa", "-n", "berth", "-o", "json"]));
    expect(items.length).toBeGreaterThan(0);
    for (const { metadata, spec, status } of items) {
      const active = status.conditions.find(({ type }: { type: string }) => type === "ScalingActive");
      expect(active, metadata.name).toMatchObject({ status: "True" });
      expect(status.currentMetrics.length, metadata.name).toBe(spec.metrics.length);
    }
  });
});

test.each([waitingJobs, requestsPerSecond])("KEDA's query has one number as its result: %s", async (query) => {
  await soon("Prometheus answers", async () => {
    const { result } = await prometheus("query", { query });
    expect(result).toEqual([{ metric: {}, value: [expect.any(Number), expect.stringMatching(/^[\d.]+$/)] }]);
  });
});

test("the next `up` finds no conflict with its own adapter, and with `autoscaler: keda` it reports all conflicts", async () => {
  vi.stubEnv("KUBECONFIG", kubeconfig);
  const found = await readCluster({ context }, "berth");
  const config = (values: object) =>
    configSchema.parse({
      context,
      registry: "127.0.0.1:5000/berth",
      publicUrl: "http://127.0.0.1:30080",
      kubernetesApi: [{ cidr: `${nodeIp}/32`, port: 6443 }],
      ...values,
    });
  expect(found.apis?.filter(({ service }) => service === "berth/prometheus-adapter")?.length).toBeGreaterThanOrEqual(2);
  expect(conflicts(config({}), found, "dev")).toEqual([]);
  expect(conflicts(config({ autoscaler: "keda" }), found, "dev")).toEqual([
    expect.stringContaining("the Service berth/prometheus-adapter serves this API."),
    expect.stringContaining("`kubectl delete hpa -n berth api`"),
    expect.stringContaining("`kubectl delete hpa -n berth worker`"),
  ]);
});

test("kubectl top shows every running pod of the platform and the node", async () => {
  await soon("kubectl top shows the pods and the node", async () => {
    const top = await kubectl(["top", "pods", "-n", "berth", "--no-headers"]);
    for (const name of ["api", "worker", "postgres", "redis", "prometheus"])
      expect(top).toMatch(new RegExp(`^${name}-\\S+ +\\d+m +\\d+Mi`, "m"));
    expect(await kubectl(["top", "nodes", "--no-headers"])).toMatch(/^\S+ +\d+m /);
  });
});

test("Prometheus reaches all of its targets", async () => {
  await soon("all targets are up", async () => {
    const { activeTargets } = await prometheus("targets", { state: "active" });
    const targets = activeTargets as { labels: Record<string, string>; health: string; lastError: string }[];
    const names = targets.map(({ labels }) => labels.component ?? labels.job);
    for (const name of [
      "api",
      "worker",
      "postgres-exporter",
      "redis-exporter",
      "kubelets",
      "kubernetes-api",
      "prometheus-adapter",
    ])
      expect(names).toContain(name);
    const own = targets.filter(({ labels }) => labels.job !== "sessions");
    expect(own.filter(({ health }) => health !== "up")).toEqual([]);
  });
  await soon("the exporters reach Postgres and Redis", async () => {
    const { result } = await prometheus("query", { query: "min(pg_up) + min(redis_up)" });
    expect(result[0].value[1]).toBe("2");
  });
});

test("Prometheus has loaded all alert rules and evaluates them without errors", async () => {
  await soon("all rules are healthy", async () => {
    const { groups } = await prometheus("rules");
    const rules = (groups as { rules: { name: string; health: string; lastError?: string }[] }[]).flatMap(
      (g) => g.rules,
    );
    expect(rules.map(({ name }) => name)).toContain(alertName({ name: "QueueNotDraining" }));
    expect(rules.filter(({ health }) => health !== "ok")).toEqual([]);
  });
});

test("Prometheus can answer every query of the dashboard", async () => {
  for (const { title, queries } of Object.values(rows).flat())
    for (const query of Object.values(queries))
      await expect(
        prometheus("query", { query: query.replaceAll("$__rate_interval", "1m").replaceAll("$tenant", ".+") }),
        title,
      ).resolves.toBeDefined();
});
