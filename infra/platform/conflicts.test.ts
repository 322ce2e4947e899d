import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, test, vi } from "vitest";
import { configSchema } from "../config/config.ts";
import { cluster, type Found } from "../kubernetes/cluster.ts";
import { recordStack } from "../testing/record.ts";
import { conflicts, refuseConflicts } from "./conflicts.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };
const config = (values: Record<string, unknown> = {}) =>
  configSchema.parse({ ...required, prometheus: { kubelets: { nodes: ["10.0.0.0/16"] } }, ...values });

const served = (group: string, service: string | null, version = "v1beta1") => ({
  name: `${version}.${group}`,
  group,
  service,
});
const found = (...apis: Found["apis"]): Found => ({ apis, autoscalers: [] });

const [custom, external, resource] = ["custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io"] as const;
const kedas = served(external, "keda/keda-operator-metrics-apiserver");
const own = "berth/prometheus-adapter";

describe("an API that another serves", () => {
  test("nothing collides in an empty cluster, in one of Berth's own, and with APIs that Berth doesn't serve", () => {
    expect(conflicts(config(), found())).toEqual([]);
    expect(conflicts(config(), found(served(custom, own), served(external, own)))).toEqual([]);
    expect(
      conflicts(config(), found(served("apps", null, "v1"), served(resource, "kube-system/metrics-server"))),
    ).toEqual([]);
  });

  test("is named with its server and with what to do", () => {
    expect(conflicts(config(), found(kedas))).toEqual([
      "The API v1beta1.external.metrics.k8s.io is served by the Service keda/keda-operator-metrics-apiserver, and a cluster takes one server for it: where that is KEDA, set `autoscaler: keda`; where it is an adapter of your own, set `adapter.enabled: false` and give it the queries of docs/monitoring.md.",
    ]);
    const metricsServer = served(resource, "kube-system/metrics-server");
    expect(conflicts(config({ adapter: { resourceMetrics: true } }), found(metricsServer))).toEqual([
      "The API v1beta1.metrics.k8s.io is served by the Service kube-system/metrics-server, and a cluster takes one server for it: set `adapter.resourceMetrics: false`, and the autoscalers take CPU and memory from there.",
    ]);
  });

  test("collides in whatever version, whoever serves it, and all are told at once", () => {
    const apis = found(served(custom, "datadog/cluster-agent", "v1beta2"), served(external, null));
    expect(conflicts(config(), apis)).toEqual([
      expect.stringContaining("v1beta2.custom.metrics.k8s.io is served by the Service datadog/cluster-agent,"),
      expect.stringContaining("v1beta1.external.metrics.k8s.io is served by the API server itself,"),
    ]);
  });

  test("is no collision where the adapter doesn't serve it", () => {
    expect(conflicts(config({ adapter: { enabled: false } }), found(kedas, served(custom, "a/b")))).toEqual([]);
    expect(conflicts(config({ autoscaler: "off" }), found(kedas, served(custom, "a/b")))).toEqual([]);
  });

  test("is one even where objects are adopted: the API would be taken from its server", () => {
    expect(conflicts(config({ adoptExisting: true }), found(kedas))).toHaveLength(1);
  });
});

describe("with `autoscaler: keda`", () => {
  const keda = config({ autoscaler: "keda" });

  test("a KEDA that runs is all that is needed, beside whatever adapter", () => {
    expect(conflicts(keda, found(kedas, served(custom, "datadog/cluster-agent")))).toEqual([]);
    const elsewhere = config({ autoscaler: "keda", keda: { namespace: "kube-system" } });
    expect(conflicts(elsewhere, found(served(external, "kube-system/keda-operator-metrics-apiserver")))).toEqual([]);
  });

  test.each([
    ["there is none", found(), "nobody serves that API."],
    ["it is in another namespace", found(served(external, "ops/keda")), "the Service ops/keda does."],
    ["Berth's own adapter has its API", found(served(external, own)), `the Service ${own} does.`],
  ])("%s: that is told", (_, cluster, says) => {
    expect(conflicts(keda, cluster)).toEqual([
      `\`autoscaler: keda\` needs KEDA in the namespace keda, from where it serves external.metrics.k8s.io; ${says} Install KEDA, or say in \`keda.namespace\` where it is; docs/monitoring.md has the way from \`autoscaler: hpa\`.`,
    ]);
  });

  test("an autoscaler for which KEDA refuses a Deployment is named; KEDA's own and those of others are fine", () => {
    const autoscalers = [
      { name: "worker", target: "Deployment worker", owners: [] },
      { name: "keda-hpa-api", target: "Deployment api", owners: ["ScaledObject"] },
      { name: "other", target: "Deployment other", owners: [] },
    ];
    expect(conflicts(keda, { ...found(kedas), autoscalers })).toEqual([
      "The HorizontalPodAutoscaler worker scales the Deployment worker, and KEDA refuses what has another autoscaler: `kubectl delete hpa -n berth worker`; the pods stay as many as they are.",
    ]);
    expect(conflicts(config(), { ...found(), autoscalers })).toEqual([]);
  });
});

describe("the program", () => {
  const asked = (answer: () => Promise<Found | undefined>, values = {}) => {
    const looked = vi.spyOn(cluster, "look").mockImplementation(answer);
    return { looked, refused: refuseConflicts(config(values)) };
  };

  test("ends where something collides, and says that nothing was changed", async () => {
    const { looked, refused } = asked(async () => found(kedas));
    await expect(refused).rejects.toThrow(
      /^The cluster has what the stack collides with; nothing was changed\.\nThe API v1beta1\.external/,
    );
    expect(looked).toHaveBeenCalledWith("here", "berth");
  });

  test("goes on where nothing does, and only warns where the cluster can't be asked", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    await asked(async () => found()).refused;
    expect(warn).not.toHaveBeenCalled();
    await asked(() => Promise.reject(new Error("connect ECONNREFUSED 127.0.0.1:6443"))).refused;
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      "Whether the cluster has another server of Berth's APIs was not looked up: connect ECONNREFUSED 127.0.0.1:6443.",
    );
  });

  test("asks nothing where it needs nothing", async () => {
    const { looked, refused } = asked(async () => found(kedas), { autoscaler: "off" });
    await refused;
    expect(looked).not.toHaveBeenCalled();
  });

  test("asks before it makes anything", async () => {
    vi.resetModules(); // the program runs on import
    for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
    const later = new Set<string>();
    const asks = vi.fn(async () => {
      pulumi.runtime.registerStackTransformation(({ type, name }) => {
        later.add(`${type} ${name}`);
        return undefined;
      });
    });
    vi.doMock("./conflicts.ts", () => ({ refuseConflicts: asks }));
    const resources = await recordStack("prod");
    expect(asks).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ autoscaler: "hpa", context: "berth-prod" }));
    const before = resources.map(({ type, name }) => `${type} ${name}`).filter((resource) => !later.has(resource));
    expect(before).toEqual(["pulumi:pulumi:StackReference last-up"]);
  }, 60_000);
});
