/** Tests what each check decides, and what it says to do. */
import { describe, expect, test, vi } from "vitest";
import { gke } from "../cluster/testing.ts";
import { type Check, examine, type Patient } from "./check.ts";
import { identity, lookChecks, storageClassesOf } from "./checks-look.ts";
import { trialTenant, tryChecks } from "./checks-try.ts";
import { diagnose } from "./main.ts";
import { config, healthy, outputs } from "./testing.ts";

const checks = [identity, ...lookChecks, ...tryChecks];

const verdict = async (name: string, patient: Patient) => {
  const [result] = await examine(
    checks.filter((check) => check.name === name),
    patient,
  );
  if (result === undefined) throw new Error(`there is no check ${name}`);
  return result;
};

test("on a healthy cluster every check is ok, except the ingress that the stack doesn't have", async () => {
  const results = await diagnose(healthy(), false);
  expect(results.filter(({ state }) => state !== "ok")).toEqual([
    { name: "ingress", state: "skipped", says: "the stack has no Ingress" },
  ]);
  expect(results.map(({ name }) => name)).toEqual(checks.map(({ name }: Check) => name));
});

describe("before anything is tried", () => {
  test("the stack may be named with its organization", async () => {
    const patient = { ...healthy({ seen: { berths: [{ namespace: "berth", stack: "mine" }] } }), stack: "acme/mine" };
    expect(await verdict("cluster", patient)).toMatchObject({ state: "ok" });
  });

  test("another cluster ends the doctor before any trial", async () => {
    const probe = vi.fn(healthy().tries.probe);
    const results = await diagnose(healthy({ seen: { id: gke.id.replace("3", "4") }, tries: { probe } }), false);
    expect(results).toEqual([
      expect.objectContaining({ name: "cluster", state: "failed", remedy: "correct `context` or `kubeconfig`" }),
    ]);
    expect(probe).not.toHaveBeenCalled();
  });

  test("with --look nothing is tried", async () => {
    const names = (await diagnose(healthy(), true)).map(({ name }) => name);
    expect(names).toEqual([identity, ...lookChecks].map(({ name }) => name));
  });
});

const example = { registry: "registry.example.com/berth" };
const mirrored = { registry: "127.0.0.1:5000/berth", baseRegistry: "127.0.0.1:5000" };
const nginx = { controller: "nginx", tls: { clusterIssuer: "letsencrypt" } };
const route = (listener?: string) => ({
  controller: "gateway-api",
  gateway: { name: "shared", namespace: "edge", ...(listener !== undefined && { listener }) },
});
const staging = { namespace: "berth", stack: "staging" };
const sharedGateway = { name: "shared", namespace: "edge", className: "" };
const aNode = healthy().seen.nodes[0];

test.each<[string, Parameters<typeof healthy>[0], string, RegExp]>([
  ["cluster", { seen: { berths: [staging] } }, "failed", /namespace berth already has the Berth of the stack staging/],
  ["cluster", { seen: { berths: [staging] }, config: { namespace: "berth-mine" } }, "ok", /kind with the UID/],
  ["cluster", { seen: { berths: [{ namespace: "berth", stack: "mine" }] } }, "ok", /kind with the UID/],
  ["cluster", { config: { clusterId: null } }, "ok", /set clusterId/],
  ["version", { seen: { version: "v1.29.3" } }, "failed", /v1\.29\.3 is too old/],
  ["access", { seen: { unread: ["nodes: HTTP 403"] } }, "failed", /could not be read: nodes: HTTP 403/],
  ["access", { facts: { refused: ["create secrets"] } }, "failed", /^you may not create secrets$/],
  ["registry", { config: example }, "failed", /which is an example/],
  [
    "registry",
    { config: { registry: "localhost:5001/berth" }, seen: gke },
    "failed",
    /only if they run on this machine/,
  ],
  ["registry", { config: { registry: "localhost:5001/berth" } }, "ok", /Docker builds api, agent, berthd/],
  ["registry", { config: mirrored, seen: gke }, "ok", /127\.0\.0\.1:5000/],
  ["registry", { tries: { docker: async () => false } }, "failed", /Docker doesn't answer/],
  ["registry", { tries: { status: async () => 401 } }, "ok", /ghcr\.io\/acme\/berth, which answers this machine/],
  ["registry", { tries: { status: async () => undefined } }, "skipped", /https:\/\/ghcr\.io\/v2\/ doesn't answer/],
  ["storage classes", { seen: { storageClasses: [] } }, "failed", /no default one \(it has: none\)/],
  ["storage classes", { config: { redis: { volume: { storageClass: "fast" } } } }, "failed", /no StorageClass fast/],
  ["metrics APIs", { seen: { apis: [] } }, "failed", /nobody serves CPU and memory/],
  ["metrics APIs", { seen: { apis: gke.apis } }, "failed", /keda-operator-metrics-apiserver already serves/],
  ["metrics APIs", { seen: { apis: gke.apis }, config: { autoscaler: "keda" } }, "ok", /autoscaler: keda/],
  [
    "addresses",
    { config: { kubernetesApi: [{ cidr: "10.0.0.0/24", port: 443 }] } },
    "failed",
    /172\.18\.0\.2, outside of/,
  ],
  [
    "addresses",
    { config: { kubernetesApi: [] } },
    "failed",
    /has no address.*'\[\{"cidr":"172\.18\.0\.2\/32","port":6443/,
  ],
  [
    "addresses",
    { seen: { nodes: [{ ...aNode, addresses: ["10.9.9.9"] }] as never } },
    "failed",
    /Prometheus can't reach their kubelets/,
  ],
  ["ingress", { config: { ingress: nginx } }, "failed", /no IngressClass nginx \(it has: none\)/],
  [
    "ingress",
    { config: { ingress: nginx }, seen: { ingressClasses: [{ name: "nginx", controller: "k8s.io/ingress-nginx" }] } },
    "failed",
    /no ClusterIssuer letsencrypt/,
  ],
  ["ingress", { config: { ingress: route() } }, "failed", /no Gateway shared in the namespace edge \(it has: none\)/],
  ["ingress", { config: { ingress: route() }, seen: { gateways: gke.gateways } }, "ok", /takes routes/],
  [
    "ingress",
    { config: { ingress: route("web") }, seen: { gateways: gke.gateways } },
    "failed",
    /no listener web \(it has: https\)/,
  ],
  [
    "ingress",
    {
      config: { ingress: route() },
      seen: { gateways: [{ ...sharedGateway, listeners: [{ name: "https", routesFrom: "own namespace" as const }] }] },
    },
    "failed",
    /no listener of the Gateway shared takes routes from the namespace berth/,
  ],
  [
    "ingress",
    {
      config: { ingress: route() },
      seen: {
        gateways: [{ ...sharedGateway, listeners: [{ name: "https", routesFrom: "selected namespaces" as const }] }],
      },
    },
    "skipped",
    /takes routes of selected namespaces only; look whether the labels of berth/,
  ],
  [
    "runtime classes",
    { config: { tenants: [{ name: "acme", runtimeClassName: "kata" }] } },
    "failed",
    /doesn't have kata of the tenant acme/,
  ],
])("%s, with %j: %s", async (name, changes, state, says) => {
  const result = await verdict(name, healthy(changes));
  expect(result).toMatchObject({ state, says: expect.stringMatching(says) });
});

test("each StorageClass of the config is known once, and external stores need none", () => {
  const volume = { storageClass: "fast" };
  expect(storageClassesOf(config({ prometheus: { volume }, tenants: [{ name: "a", workspace: volume }] }))).toEqual([
    null,
    "fast",
  ]);
  expect(storageClassesOf(config({ tenants: [{ name: "a", workspace: { mode: "ephemeral" } }] }))).toEqual([null]);
});

const probed = healthy().tries.probe;
const ofAcme = { of: "the sessions of acme", toOpen: "open", toClosed: "blocked", dns: "open" };
const probing = (changes: object) => ({ tries: { probe: async () => ({ ...(await probed()), ...changes }) } });

test.each<[string, Parameters<typeof healthy>[0], string, RegExp]>([
  [
    "isolation",
    probing({ sessions: [ofAcme, { ...ofAcme, of: "the sessions of umbrella", toClosed: "open" }] }),
    "failed",
    /don't close connections \(out of a session \(the sessions of umbrella\): open\)/,
  ],
  ["isolation", probing({ freeToClosed: "open" }), "failed", /\(into a closed pod: open\)/],
  ["isolation", probing({ freeToOpen: "blocked" }), "failed", /into a closed pod: blocked\), so nothing shows/],
  [
    "isolation",
    probing({ sessions: [{ ...ofAcme, toOpen: "blocked" }] }),
    "failed",
    /\(the sessions of acme\): blocked\), so/,
  ],
  [
    "dns",
    probing({ sessions: [{ ...ofAcme, dns: "EAI_AGAIN" }] }),
    "failed",
    /no name resolves .*\(the sessions of acme: EAI_AGAIN\)/,
  ],
  ["api server", probing({ workerToApi: "blocked" }), "failed", /doesn't reach the API server \(blocked\)/],
  [
    "storage",
    { tries: { bind: () => Promise.reject(new Error("the pod of the Job write has not ended after 180 s")) } },
    "failed",
    /a volume of the default StorageClass can't be used on the nodes of the stores: the pod/,
  ],
  [
    "pods",
    { tries: { workloads: async () => [{ name: "Deployment api", ready: 0, wanted: 2, reason: "ImagePullBackOff" }] } },
    "failed",
    /Deployment api has 0 of 2 pods \(ImagePullBackOff\)/,
  ],
  ["pods", { tries: { workloads: async () => [] } }, "failed", /has no Deployment and no StatefulSet/],
  [
    "images",
    { tries: { images: () => Promise.reject(new Error("nodes lack images after 180 s: a@sha256:1 on node-1")) } },
    "failed",
    /a@sha256:1 on node-1/,
  ],
  ["images", { config: { prepullAgentImage: false } }, "skipped", /when a session needs it/],
  ["metrics", { tries: { measuredNodes: async () => 0 } }, "failed", /no measurement of a node/],
  [
    "metrics",
    { tries: { scalers: () => Promise.reject(new Error("autoscalers have no metrics after 180 s: worker (no)")) } },
    "failed",
    /no metrics after 180 s: worker/,
  ],
  ["metrics", { config: { autoscaler: "off" } }, "skipped", /no autoscaler/],
  ["address", { tries: { status: async () => undefined } }, "failed", /can't be reached from this machine/],
  ["address", { tries: { status: async () => 502 } }, "failed", /answers HTTP 502/],
  [
    "session",
    { tries: { session: () => Promise.reject(new Error("the session 1 has failed: image-pull")) } },
    "failed",
    /has failed: image-pull/,
  ],
  ["session", { config: { tenants: [] } }, "skipped", /no tenant has a key/],
])("%s, with %j: %s", async (name, changes, state, says) => {
  expect(await verdict(name, healthy(changes))).toMatchObject({ state, says: expect.stringMatching(says) });
});

test("the trial session is of the first tenant that keeps no workspaces, so that nothing of it stays", async () => {
  const kept = { retention: "7d" };
  const keyOf = (tenants: object[], keyless: string[] = []) => {
    const { tenants: given } = config({ tenants });
    const keys = given.map(({ name }) => [name, keyless.includes(name) ? {} : { default: `key of ${name}` }]);
    return trialTenant({ config: config({ tenants }), outputs: { ...outputs, tenantKeys: Object.fromEntries(keys) } })
      ?.name;
  };
  const [a, b, c] = [{ name: "a", ...kept }, { name: "b" }, { name: "c", ...kept, workspace: { mode: "ephemeral" } }];
  expect(keyOf([a, b, c])).toBe("b");
  expect(keyOf([a, b, c], ["b"])).toBe("c");
  expect(keyOf([a, { ...b, remove: true }])).toBe("a");
  expect(keyOf([a], ["a"])).toBeUndefined();
});

test("if the workspace of the trial session stays, the line says until when", async () => {
  const keptUntil = "2026-12-08T07:00:00.000Z";
  const session = async () => ({ id: "1", seconds: 4, desktop: [1280, 800] as [number, number], keptUntil });
  expect(await verdict("session", healthy({ tries: { session } }))).toMatchObject({
    state: "ok",
    says: expect.stringContaining(`Its workspace stays until ${keptUntil}`),
  });
});

test("if Cilium keeps the worker from the API server, the remedy is Cilium's own policies", async () => {
  const cilium = { daemonSets: [{ namespace: "kube-system", name: "cilium", args: [] }] };
  const remedy = async (config: Record<string, unknown>, seen = {}) =>
    verdict("api server", healthy({ ...probing({ workerToApi: "blocked" }), config, seen }));
  expect(await remedy({}, cilium)).toMatchObject({ remedy: expect.stringContaining("`network.policies: cilium`") });
  const named = { remedy: expect.stringContaining("correct `kubernetesApi`") };
  expect(await remedy({ network: { policies: "cilium" } }, cilium)).toMatchObject(named);
  expect(await remedy({})).toMatchObject(named);
});

test("an autoscaler that KEDA would refuse is found before the `up`", async () => {
  const autoscalers = [{ name: "worker", target: "Deployment worker", owners: [] }];
  const patient = { seen: { apis: gke.apis }, config: { autoscaler: "keda" }, facts: { autoscalers } };
  expect(await verdict("metrics APIs", healthy(patient))).toMatchObject({
    state: "failed",
    says: expect.stringContaining("The HorizontalPodAutoscaler worker scales the Deployment worker"),
  });
});

test("a forwarded port that nobody forwards is no failure, and the command is named", async () => {
  const patient = healthy({ tries: { status: async () => undefined } });
  const forwarded = { ...patient, outputs: { ...patient.outputs, apiUrl: "http://127.0.0.1:30080" } as never };
  expect(await verdict("address", forwarded)).toMatchObject({
    state: "skipped",
    says: expect.stringContaining("kubectl port-forward -n berth service/gateway 30080:80"),
  });
});

test("each failure says what to do, and checks of the stack wait for the first `up`", async () => {
  const broken = { probe: () => Promise.reject(new Error("the pod open doesn't run: ErrImagePull")) };
  const results = await diagnose({ ...healthy({ tries: broken }), outputs: undefined }, false);
  const failures = results.filter((result) => result.state === "failed");
  expect(failures.map(({ name }) => name)).toEqual(["isolation", "dns", "api server"]);
  for (const failure of failures) expect(failure).toMatchObject({ remedy: expect.stringMatching(/\w/) });
  expect(results.filter(({ says }) => says.includes("run pulumi up -s mine first")).map(({ name }) => name)).toEqual([
    "pods",
    "images",
    "metrics",
    "address",
    "session",
  ]);
});
