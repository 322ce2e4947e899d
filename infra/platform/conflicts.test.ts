import * as pulumi from "@pulumi/pulumi";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { configSchema, parseConfig } from "../config/config.ts";
import { cluster, type Found, type RegisteredApi } from "../kubernetes/cluster.ts";
import { recordStack } from "../testing/record.ts";
import { conflicts as conflictsOf, refuseConflicts } from "./conflicts.ts";

afterEach(() => {
  vi.restoreAllMocks();
});

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };
const reachable = {
  kubernetesApi: [{ cidr: "10.0.0.4/32", port: 443 }],
  prometheus: { kubelets: { nodes: ["10.0.0.0/16"] } },
};
const config = (values: Record<string, unknown> = {}) => configSchema.parse({ ...required, ...reachable, ...values });

const served = (group: string, service: string | null, version = "v1beta1") => ({
  name: `${version}.${group}`,
  group,
  service,
});
const found = (...apis: RegisteredApi[]): Found => ({
  ...{ version: "v1.34.1", apis, autoscalers: [] },
  ...{ namespaces: [], priorityClasses: [], apiServers: [{ address: "10.0.0.4", port: 443 }], unread: {} },
});
const conflicts = (config: Parameters<typeof conflictsOf>[0], there: Found) => conflictsOf(config, there, "mine");

const [custom, external, resource] = ["custom.metrics.k8s.io", "external.metrics.k8s.io", "metrics.k8s.io"] as const;
const kedas = served(external, "keda/keda-operator-metrics-apiserver");
const own = "berth/prometheus-adapter";

describe("an API that another server already serves", () => {
  test("there is no conflict in an empty cluster, with Berth's own adapter, or with APIs that Berth doesn't serve", () => {
    expect(conflicts(config(), found())).toEqual([]);
    expect(conflicts(config(), found(served(custom, own), served(external, own)))).toEqual([]);
    expect(
      conflicts(config(), found(served("apps", null, "v1"), served(resource, "kube-system/metrics-server"))),
    ).toEqual([]);
  });

  test("the message names the API and its server, and says what to do", () => {
    expect(conflicts(config(), found(kedas))).toEqual([
      "The Service keda/keda-operator-metrics-apiserver already serves the API v1beta1.external.metrics.k8s.io, and a cluster allows only one server for it: if that server is KEDA, set `autoscaler: keda`; if it is your own adapter, set `adapter.enabled: false` and add the queries of docs/monitoring.md to your adapter.",
    ]);
    const metricsServer = served(resource, "kube-system/metrics-server");
    expect(conflicts(config({ adapter: { resourceMetrics: true } }), found(metricsServer))).toEqual([
      "The Service kube-system/metrics-server already serves the API v1beta1.metrics.k8s.io, and a cluster allows only one server for it: set `adapter.resourceMetrics: false`, and the autoscalers get CPU and memory from that server.",
    ]);
  });

  test("every version of an API conflicts, for every server, and one run reports all conflicts", () => {
    const apis = found(served(custom, "datadog/cluster-agent", "v1beta2"), served(external, null));
    expect(conflicts(config(), apis)).toEqual([
      expect.stringContaining(
        "The Service datadog/cluster-agent already serves the API v1beta2.custom.metrics.k8s.io,",
      ),
      expect.stringContaining("The API server itself already serves the API v1beta1.external.metrics.k8s.io,"),
    ]);
  });

  test("there is no conflict if the stack's adapter doesn't serve the API", () => {
    expect(conflicts(config({ adapter: { enabled: false } }), found(kedas, served(custom, "a/b")))).toEqual([]);
    expect(conflicts(config({ autoscaler: "off" }), found(kedas, served(custom, "a/b")))).toEqual([]);
  });

  test("the API conflicts also with adoptExisting, because the stack would take the API from its server", () => {
    expect(conflicts(config({ adoptExisting: true }), found(kedas))).toHaveLength(1);
  });
});

describe("with `autoscaler: keda`", () => {
  const keda = config({ autoscaler: "keda" });

  test("there is no conflict if KEDA runs, even with another adapter in the cluster", () => {
    expect(conflicts(keda, found(kedas, served(custom, "datadog/cluster-agent")))).toEqual([]);
    const elsewhere = config({ autoscaler: "keda", keda: { namespace: "kube-system" } });
    expect(conflicts(elsewhere, found(served(external, "kube-system/keda-operator-metrics-apiserver")))).toEqual([]);
  });

  test.each([
    ["KEDA is missing", found(), "no server serves this API."],
    ["KEDA is in another namespace", found(served(external, "ops/keda")), "the Service ops/keda serves this API."],
    ["Berth's own adapter serves KEDA's API", found(served(external, own)), `the Service ${own} serves this API.`],
  ])("a message says that %s", (_, cluster, says) => {
    expect(conflicts(keda, cluster)).toEqual([
      `\`autoscaler: keda\` needs KEDA in the namespace keda, where KEDA serves the API external.metrics.k8s.io; but ${says} Install KEDA, or set \`keda.namespace\` to KEDA's namespace. docs/monitoring.md describes the change from \`autoscaler: hpa\`.`,
    ]);
  });

  test("an autoscaler of Berth's Deployments that is not KEDA's conflicts; autoscalers of other Deployments do not", () => {
    const autoscalers = [
      { name: "worker", target: "Deployment worker", owners: [] },
      { name: "keda-hpa-api", target: "Deployment api", owners: ["ScaledObject"] },
      { name: "other", target: "Deployment other", owners: [] },
    ];
    expect(conflicts(keda, { ...found(kedas), autoscalers })).toEqual([
      "The HorizontalPodAutoscaler worker scales the Deployment worker, and KEDA refuses a Deployment that has another autoscaler. Run `kubectl delete hpa -n berth worker`; the number of pods stays the same.",
    ]);
    expect(conflicts(config(), { ...found(), autoscalers })).toEqual([]);
  });
});

describe("names that others have", () => {
  const tenants = [{ name: "acme" }];
  const of = (stack: string | null, ...names: string[]) => names.map((name) => ({ name, stack }));
  const all = { namespaces: ["berth", "tenant-acme"], priorityClasses: ["berth-platform", "berth-sessions"] };
  const owned = (stack: string | null): Found => ({
    ...found(),
    namespaces: of(stack, ...all.namespaces, "tenant-other"),
    priorityClasses: of(stack, ...all.priorityClasses, "other"),
  });
  const second = "(docs/your-cluster.md#two-stacks-in-one-cluster)";

  test("the stack's own objects are no conflict", () => {
    expect(conflicts(config({ tenants }), owned("mine"))).toEqual([]);
  });

  test.each([false, true])("objects of another stack conflict, with adoptExisting: %j", (adoptExisting) => {
    const lines = conflicts(config({ tenants, adoptExisting }), owned("staging"));
    const belongs = (object: string) =>
      expect.stringContaining(`The ${object} belongs to the Berth of the stack staging: `);
    expect(lines).toEqual([
      `The Namespace berth belongs to the Berth of the stack staging: set \`namespace\` to another name ${second}. If staging is the former name of this stack, run \`kubectl label namespace berth --overwrite app.kubernetes.io/instance=mine\`.`,
      belongs("Namespace tenant-acme"),
      belongs("PriorityClass berth-platform"),
      belongs("PriorityClass berth-sessions"),
    ]);
  });

  test("objects of nobody conflict unless the stack may adopt them", () => {
    const lines = conflicts(config({ tenants }), owned(null));
    expect(lines).toHaveLength(4);
    expect(lines[1]).toBe(
      "The Namespace tenant-acme exists already, and does not belong to this stack: set `tenantPrefix` to another beginning, or set `adoptExisting: true` to let the stack take over the Namespace.",
    );
    expect(conflicts(config({ tenants, adoptExisting: true }), owned(null))).toEqual([]);
  });

  test("a class that the stack does not make may be anybody's", () => {
    const priorityClasses = { platform: { value: null }, sessions: { value: null } };
    const there = { ...owned("staging"), namespaces: [] };
    expect(conflicts(config({ priorityClasses }), there)).toEqual([]);
    expect(conflicts(config(), there)).toHaveLength(2);
  });
});

describe("the addresses of the Kubernetes API", () => {
  const at = (...addresses: string[]) => ({
    ...found(),
    apiServers: addresses.map((address) => ({ address, port: 6443 })),
  });
  const unnamed = config({ kubernetesApi: [] });

  test("must be in the config; the message has those of the cluster, and the command that sets the key", () => {
    expect(conflicts(unnamed, at("10.9.0.5", "fd00::5"))).toEqual([
      `kubernetesApi: has no address, so the network policies would let no pod reach the Kubernetes API. To name the addresses that the cluster has now, run \`pulumi config set berth:kubernetesApi '[{"cidr":"10.9.0.5/32","port":6443},{"cidr":"fd00::5/128","port":6443}]' -s mine\`, or name the ranges from which they come (docs/network.md#the-kubernetes-api).`,
    ]);
  });

  test("must be in the config, also if those of the cluster can't be read", () => {
    const { apiServers, ...rest } = found();
    expect(conflicts(unnamed, { ...rest, unread: { apiServers: "the API server answers HTTP 403" } })).toEqual([
      expect.stringContaining("The addresses can't be read (the API server answers HTTP 403)."),
    ]);
  });

  test("the command's value is a valid config", () => {
    const [line = ""] = conflicts(unnamed, at("10.9.0.5"));
    const [, value = ""] = /berth:kubernetesApi '(.*)' -s/.exec(line) ?? [];
    const { config } = parseConfig({ ...required, kubernetesApi: value });
    expect(config?.kubernetesApi).toEqual([{ cidr: "10.9.0.5/32", port: 6443 }]);
  });

  const tenants = [
    { name: "acme", egress: [{ cidr: "203.0.113.0/24" }, { cidr: "10.0.0.0/8", private: true }] },
    { name: "globex", egress: [{ cidr: "0.0.0.0/0" }] },
  ];

  test.each([
    ["10.9.0.5", "tenants[0].egress[1]"],
    ["203.0.113.7", "tenants[0].egress[0], tenants[1].egress[0]"],
  ])("no egress opens %s while the config does not name this address", (address, rules) => {
    expect(conflicts(config({ tenants }), at(address))).toEqual([
      `${rules}: would let sessions reach the Kubernetes API, which is at ${address}, outside of \`kubernetesApi\`. Add the range from which the API gets its addresses to \`kubernetesApi\` (docs/network.md#the-kubernetes-api).`,
    ]);
    const kubernetesApi = [{ cidr: `${address}/32`, port: 443 }];
    expect(conflicts(config({ tenants: tenants.slice(1), kubernetesApi }), at(address))).toEqual([]);
  });

  test("every egress is accepted if the API is on the nodes, which stay closed, and ranges without the address are too", () => {
    expect(conflicts(config({ tenants }), at("10.0.3.5"))).toEqual([]);
    expect(conflicts(config({ tenants }), at("192.0.2.5"))).toEqual([
      expect.stringMatching(/^tenants\[1\]\.egress\[0\]: would/),
    ]);
  });
});

describe("the program", () => {
  const asked = (answer: () => Promise<Found | undefined>, values = {}) => {
    const read = vi.spyOn(cluster, "readCluster").mockImplementation(answer);
    return { read, refused: refuseConflicts({ context: "here" }, config(values)) };
  };

  test("ends if there is a conflict, and says that nothing was changed", async () => {
    const { read, refused } = asked(async () => found(kedas));
    await expect(refused).rejects.toThrow(
      /^The stack can't be deployed to this cluster\. Nothing was changed\.\nThe Service keda\/keda-operator/,
    );
    expect(read).toHaveBeenCalledWith({ context: "here" }, "berth");
  });

  const forbidden = "the API server answers HTTP 403";

  test("continues without a conflict, and warns about facts that can't be read", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    await asked(async () => found()).refused;
    expect(warn).not.toHaveBeenCalled();
    const { namespaces, autoscalers, version, ...rest } = found();
    const unread = { version: "timeout", namespaces: forbidden, autoscalers: forbidden };
    await asked(async () => ({ ...rest, unread })).refused;
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      `Berth could not read the version (timeout); the namespaces, the HorizontalPodAutoscalers (${forbidden}), so it did not look for conflicts with them.`,
    );
  });

  test("finds the other conflicts if a fact can't be read", async () => {
    const { namespaces, ...rest } = found(kedas);
    const { refused } = asked(async () => ({ ...rest, version: "v1.29.9", unread: { namespaces: forbidden } }));
    await expect(refused).rejects.toThrow(/Kubernetes v1\.29\.9.*\n.*keda-operator-metrics-apiserver already serves/);
  });

  test("ends if the stack has an adapter, and nothing shows whose its APIs are", async () => {
    vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    const { apis, ...rest } = found();
    const unread = async () => ({ ...rest, unread: { apis: forbidden } });
    await expect(asked(unread).refused).rejects.toThrow(
      `The APIServices can't be read (${forbidden}), so another server may already serve custom.metrics.k8s.io, external.metrics.k8s.io, and the stack's adapter would take the place of that server. Allow this user to list apiservices.apiregistration.k8s.io, or set \`adapter.enabled: false\`.`,
    );
    await asked(unread, { adapter: { enabled: false } }).refused;
    await asked(unread, { autoscaler: "keda" }).refused;
  });

  test("warns if the Kubernetes API has an address that the config does not name", async () => {
    const warn = vi.spyOn(pulumi.log, "warn").mockResolvedValue();
    const apiServers = ["10.0.0.4", "10.0.0.9"].map((address) => ({ address, port: 443 }));
    await asked(async () => ({ ...found(), apiServers })).refused;
    expect(warn).toHaveBeenCalledExactlyOnceWith(
      expect.stringMatching(/^The Kubernetes API is at 10\.0\.0\.9, outside of `kubernetesApi`\./),
    );
  });

  test("ends if the kubeconfig is wrong", async () => {
    const { refused } = asked(() => Promise.reject(new Error("the kubeconfig has no context here; it has none")));
    await expect(refused).rejects.toThrow("no context here; it has none. Nothing was changed. Correct `context`");
  });

  test("ends if the cluster's Kubernetes is too old, also without autoscalers", async () => {
    const { refused } = asked(async () => ({ ...found(), version: "v1.29.9" }), { autoscaler: "off" });
    await expect(refused).rejects.toThrow(
      "The cluster has Kubernetes v1.29.9, and Berth needs 1.30 or newer. Upgrade the cluster, or choose another one.",
    );
  });

  test("asks the cluster before it makes any resource", async () => {
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
    onTestFinished(() => vi.doUnmock("./conflicts.ts"));
    const resources = await recordStack("prod");
    expect(asks).toHaveBeenCalledExactlyOnceWith(
      { context: "berth-prod" },
      expect.objectContaining({ autoscaler: "hpa" }),
    );
    const before = resources.map(({ type, name }) => `${type} ${name}`).filter((resource) => !later.has(resource));
    expect(before).toEqual(["pulumi:pulumi:StackReference last-up"]);
  });
});
