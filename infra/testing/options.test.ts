/** Tests options that no committed stack uses. The tests run the whole program with each option. */
import { beforeEach, expect, test, vi } from "vitest";
import { parseTenants } from "../../runtime/src/domain/tenants.ts";
import { scaledQuantity } from "../kubernetes/request-scale.ts";
import { type RecordedResource, recordStack, timeoutsOf } from "./record.ts";

interface Inputs {
  kind: string;
  metadata: { name: string; namespace?: string };
  [key: string]: unknown;
}

const kubernetes = (resources: RecordedResource[], kind: string) =>
  resources.map(({ inputs }) => inputs as Inputs).filter((inputs) => inputs.kind === kind);

beforeEach(() => {
  vi.resetModules(); // the program runs on import
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

/** The key by which Pulumi marks a value as secret, so that the engine encrypts it in the state. */
const secret = (value: object) => ({ "4dabf18193072939515e22adb298388d": expect.any(String), value });

test("the login with read access is in every namespace that pulls images, and the login for the push is not in the cluster", async () => {
  const login = { server: "registry.example.com", username: "reader", password: "s3cret" };
  const registryPush = { username: "ci", password: "may-write" };
  const resources = await recordStack("prod", { registryLogins: [login], registryPush });
  const inCluster = resources.filter(({ type }) => type.startsWith("kubernetes:"));
  expect(JSON.stringify(inCluster)).not.toContain(registryPush.password);
  const secrets = kubernetes(resources, "Secret").filter(({ metadata }) => metadata.name === "registry-login");
  expect(secrets.map(({ metadata }) => metadata.namespace)).toEqual(["berth", "tenant-acme"]);
  const [account] = kubernetes(resources, "ServiceAccount").filter(({ metadata }) => metadata.name === "agent-runner");
  expect(account?.imagePullSecrets).toEqual([{ name: "registry-login" }]);
  for (const kind of ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"])
    for (const workload of kubernetes(resources, kind))
      expect(JSON.stringify(workload), workload.metadata.name).toContain(
        '"imagePullSecrets":[{"name":"registry-login"}]',
      );
  const images = resources.filter(({ type }) => type === "docker:index/image:Image");
  for (const { inputs } of images)
    expect(inputs).toMatchObject({ registry: secret({ server: login.server, username: "ci" }) });
});

test("without registryPush, Docker's own login pushes the images, never a login of registryLogins", async () => {
  const login = { server: "registry.example.com", username: "reader", password: "s3cret" };
  const resources = await recordStack("prod", { registryLogins: [login] });
  const images = resources.filter(({ type }) => type === "docker:index/image:Image");
  expect(images).toHaveLength(3);
  for (const { inputs } of images) expect(inputs).not.toHaveProperty("registry");
});

const digest = `sha256:${"0".repeat(64)}`;

test("the tenants file contains a tenant's image, and sessions use the image's pull secret and the stack's", async () => {
  const login = { server: "registry.example.com", username: "reader", password: "s3cret" };
  const images = ["one", "two"].map((name) => ({
    name,
    image: `ghcr.io/acme/${name}@${digest}`,
    pullSecret: "ghcr",
  }));
  const resources = await recordStack("prod", { registryLogins: [login], tenants: [{ name: "acme", images }] });
  const [account] = kubernetes(resources, "ServiceAccount").filter(({ metadata }) => metadata.name === "agent-runner");
  expect(account?.imagePullSecrets).toEqual([{ name: "registry-login" }, { name: "ghcr" }]);
  const [file] = kubernetes(resources, "Secret").filter(({ metadata }) => metadata.name === "tenants");
  expect(JSON.stringify(file)).toContain(`ghcr.io/acme/two@${digest}`);
});

/** Returns the images that each puller's pod pulls, its pull secrets and its RuntimeClass. Key: the puller's namespace. */
function pullersOf(resources: RecordedResource[]) {
  const pullers = kubernetes(resources, "DaemonSet").map(({ metadata, spec }) => {
    const pod = (spec as { template: { spec: PullerPod } }).template.spec;
    expect(pod.automountServiceAccountToken).toBe(false);
    const secrets = (pod.imagePullSecrets ?? []).map(({ name }) => name);
    const images = pod.containers.map(({ image }) => image.replace(/@.*/, ""));
    return [metadata.namespace, { images, secrets, runtimeClass: pod.runtimeClassName }] as const;
  });
  return Object.fromEntries(pullers);
}

/** Returns the namespaces of the tenants that have an image puller by the tenants file, which the worker reads. */
function pullersInFile(resources: RecordedResource[]): string[] {
  const [file] = kubernetes(resources, "Secret").filter(({ metadata }) => metadata.name === "tenants");
  const data = file?.stringData as { value: Record<string, string> } | undefined;
  const { tenants } = parseTenants(data?.value["tenants.json"] ?? "");
  return [...tenants.values()].filter(({ hasImagePuller }) => hasImagePuller).map(({ namespace }) => namespace);
}

interface PullerPod {
  automountServiceAccountToken: boolean;
  imagePullSecrets?: { name: string }[];
  runtimeClassName?: string;
  containers: { image: string }[];
}

test("every image of every tenant is brought to the nodes, each once, with its Secrets and for its runtime", async () => {
  const image = (name: string, pullSecret?: string) => ({
    name,
    image: `ghcr.io/acme/${name === "twice" ? "one" : name}@${digest}`,
    ...(pullSecret && { pullSecret }),
  });
  const tenants = [
    { name: "acme", images: [image("one", "ghcr"), image("twice"), image("two", "quay")] },
    { name: "plain" },
    { name: "gone", images: [image("one")], remove: true },
    { name: "kata", runtimeClassName: "kata", images: [image("two")] },
    { name: "gvisor", runtimeClassName: "gvisor" },
    { name: "pool", placement: { nodeSelector: { pool: "gpu" } } },
  ];
  const resources = await recordStack("prod", { imagePullSecrets: ["mine"], tenants });
  const desktop = "registry.example.com/berth/agent";
  expect(pullersOf(resources)).toEqual({
    berth: { images: [desktop], secrets: ["mine"] },
    "tenant-acme": { images: ["ghcr.io/acme/one", "ghcr.io/acme/two"], secrets: ["mine", "ghcr", "quay"] },
    "tenant-kata": { images: [desktop, "ghcr.io/acme/two"], secrets: ["mine"], runtimeClass: "kata" },
    "tenant-gvisor": { images: [desktop], secrets: ["mine"], runtimeClass: "gvisor" },
    "tenant-pool": { images: [desktop], secrets: ["mine"] },
  });
  expect(pullersInFile(resources)).toEqual(["tenant-acme", "tenant-kata", "tenant-gvisor", "tenant-pool"]);
});

test("a tenant's quota counts its sessions' pods and not its puller's", async () => {
  const resources = await recordStack("prod");
  const quotas = kubernetes(resources, "ResourceQuota");
  const counting = quotas.filter(({ spec }) => /"(pods|requests\.cpu|limits\.memory)"/.test(JSON.stringify(spec)));
  expect(counting.map(({ metadata }) => metadata.name)).toEqual(["session-pods"]);
  expect(counting[0]?.spec).toMatchObject({
    scopeSelector: {
      matchExpressions: [{ scopeName: "PriorityClass", operator: "NotIn", values: ["berth-image-puller"] }],
    },
  });
});

test("a desktop image by digest is not built, gets berthd in each pod, and is pulled to the nodes in advance", async () => {
  const agent = `ghcr.io/acme/desktop@${digest}`;
  const resources = await recordStack("prod", { images: { agent, berthdVolume: "image" } });
  const built = resources.filter(({ type }) => type === "docker:index/image:Image").map(({ name }) => name);
  expect(built).toEqual(["images-api", "images-berthd"]);
  const [settings] = kubernetes(resources, "ConfigMap").filter(({ metadata }) =>
    metadata.name.startsWith("api-config"),
  );
  expect(settings?.data).toMatchObject({
    AGENT_IMAGE: agent,
    AGENT_IMAGE_HAS_BERTHD: "false",
    BERTHD_VOLUME: "image",
  });
  expect(JSON.stringify(kubernetes(resources, "DaemonSet"))).toContain(agent);
});

test("with all images by digest, the stack needs neither Docker nor a registry, and its pods run these images", async () => {
  const given = (image: string) => `ghcr.io/acme/berth/${image}@${digest}`;
  const images = { api: given("api"), agent: given("agent"), berthd: given("berthd") };
  const resources = await recordStack("prod", { images, registry: "" });
  expect(resources.filter(({ type }) => type.includes("docker"))).toEqual([]);
  expect(JSON.stringify(kubernetes(resources, "Deployment"))).toContain(images.api);
  expect(settingsOf(resources)).toMatchObject({ AGENT_IMAGE: images.agent, BERTHD_IMAGE: images.berthd });
  expect(JSON.stringify(resources)).not.toContain("registry.example.com/berth/");
});

test("build arguments of the config go to the image's build, and the agent then still contains berthd", async () => {
  const buildArgs = { BROWSER: "chromium", GO_IMAGE: `ghcr.io/acme/go@${digest}` };
  const resources = await recordStack("prod", { images: { agent: { buildArgs } } });
  const builds = resources.filter(({ type }) => type === "docker:index/image:Image");
  const argsOf = (name: string) => (builds.find((one) => one.name === name)?.inputs as Build | undefined)?.build.args;
  expect(argsOf("images-agent")).toEqual({ DEBIAN_IMAGE: expect.stringContaining("debian:"), ...buildArgs });
  expect(argsOf("images-berthd")).toEqual({ GO_IMAGE: expect.stringContaining("golang:") });
  expect(settingsOf(resources)).toMatchObject({ AGENT_IMAGE_HAS_BERTHD: "true" });
});

interface Build {
  build: { args: Record<string, string> };
}

test("with Traefik, the limits are Middlewares in the platform's namespace", async () => {
  const resources = await recordStack("prod", { ingress: { controller: "traefik", controllerNamespace: "traefik" } });
  expect(kubernetes(resources, "Middleware").map(({ metadata }) => metadata)).toMatchObject([
    { name: "api-body-size", namespace: "berth" },
    { name: "api-rate-limit", namespace: "berth" },
  ]);
  const [policy] = kubernetes(resources, "NetworkPolicy").filter(({ metadata }) => metadata.name === "gateway-ingress");
  expect(JSON.stringify(policy?.spec)).toContain('"kubernetes.io/metadata.name":"traefik"');
});

const sandboxUrl = "https://*.sandbox.example.org";

test("with an ingress controller, the API and sessions' ports have an Ingress and a certificate each", async () => {
  const resources = await recordStack("prod", { ingress: { controller: "nginx" }, sandboxUrl });
  const specs = kubernetes(resources, "Ingress").map(({ metadata, spec }) => [metadata.name, JSON.stringify(spec)]);
  expect(Object.fromEntries(specs)).toEqual({
    api: expect.stringContaining('"api-tls"'),
    sandbox: expect.stringContaining('"sandbox-tls"'),
  });
});

test("with the Gateway API, the API and sessions' ports have a route each", async () => {
  const gateway = { name: "shared", namespace: "edge" };
  const resources = await recordStack("prod", { ingress: { controller: "gateway-api", gateway }, sandboxUrl });
  expect(kubernetes(resources, "Ingress")).toEqual([]);
  expect(kubernetes(resources, "HTTPRoute").map(({ metadata }) => metadata)).toMatchObject([
    { name: "api", namespace: "berth" },
    { name: "sandbox", namespace: "berth" },
  ]);
});

test("the stack has no Ingress and no image puller if the config disables both", async () => {
  const tenants = [{ name: "gvisor", runtimeClassName: "gvisor" }];
  const resources = await recordStack("prod", { ingress: null, prepullAgentImage: false, tenants });
  expect(kubernetes(resources, "Ingress")).toEqual([]);
  expect(kubernetes(resources, "DaemonSet")).toEqual([]);
  expect(pullersInFile(resources)).toEqual([]);
});

const workloads = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"];

test("every pod of the platform has the platform's priority", async () => {
  const resources = await recordStack("prod");
  for (const kind of workloads) {
    expect(kubernetes(resources, kind), kind).not.toEqual([]);
    // The image pullers preempt no pod, because a running session is worth more than an image that is pulled early.
    const priority = kind === "DaemonSet" ? "berth-image-puller" : "berth-platform";
    for (const workload of kubernetes(resources, kind))
      expect(JSON.stringify(workload), workload.metadata.name).toContain(`"priorityClassName":"${priority}"`);
  }
});

test("`rolloutTimeout` limits how long an `up` waits for the pods of every workload, and by default how long a Job runs", async () => {
  const resources = await recordStack("prod", { rolloutTimeout: "7m" });
  const awaited = resources.filter(({ inputs }) =>
    ["Deployment", "StatefulSet", "DaemonSet", "Job"].includes((inputs as Inputs).kind),
  );
  expect(awaited.length).toBeGreaterThan(8);
  for (const resource of awaited)
    expect(timeoutsOf(resource), resource.name).toEqual({ create: "420s", update: "420s" });
  const jobs = kubernetes(resources, "Job");
  expect(jobs.map(({ spec }) => spec)).toMatchObject(jobs.map(() => ({ activeDeadlineSeconds: 420 })));
});

test("`migrationTimeout` gives the Job that migrates more time than the other workloads", async () => {
  const resources = await recordStack("prod", { migrationTimeout: "2h" });
  const timeouts = (kind: string) => resources.filter(({ inputs }) => (inputs as Inputs).kind === kind).map(timeoutsOf);
  expect(kubernetes(resources, "Job").map(({ spec }) => spec)).toMatchObject([{ activeDeadlineSeconds: 7_200 }]);
  expect(timeouts("Job")).toEqual([{ create: "7200s", update: "7200s" }]);
  expect(new Set(timeouts("Deployment").map((one) => one?.create))).toEqual(new Set(["300s"]));
});

/** All requests anywhere in the value, by resource. Volume claims also have requests. */
function requested(value: unknown): Record<string, string>[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === "requests" ? [inner] : requested(inner)));
}

test("requestScale multiplies the CPU and memory requests of every container, but not the size of volumes", async () => {
  const whole = await recordStack("prod");
  vi.resetModules();
  const scaled = await recordStack("prod", { requestScale: 0.5 });
  const containers = (resources: RecordedResource[]) =>
    workloads.flatMap((kind) => requested(kubernetes(resources, kind))).filter(({ cpu }) => cpu !== undefined);
  const [before, after] = [containers(whole), containers(scaled)];
  expect(before.length).toBeGreaterThan(12);
  expect(after).toHaveLength(before.length);
  const half = ({ cpu = "" }: Record<string, string>) => scaledQuantity("cpu", cpu, 0.5);
  expect(after.map(({ cpu }) => cpu)).toEqual(before.map(half));
  for (const kind of ["PersistentVolumeClaim", "ResourceQuota", "LimitRange"])
    expect(kubernetes(scaled, kind), kind).toEqual(kubernetes(whole, kind));
  const disks = (resources: RecordedResource[]) =>
    requested(kubernetes(resources, "CronJob")).filter(({ storage }) => storage !== undefined);
  expect(disks(scaled)).toEqual(disks(whole));
  expect(disks(scaled)).not.toEqual([]);
});

/** The components of the platform to or from which a policy allows traffic. */
const peersOf = (resources: RecordedResource[], policy: string) => {
  const [found] = kubernetes(resources, "NetworkPolicy").filter(({ metadata }) => metadata.name === policy);
  return [...JSON.stringify(found?.spec ?? {}).matchAll(/"app.kubernetes.io\/name":"([\w-]+)"/g)].map(
    ([, component]) => component,
  );
};
const sessionPorts = /"port":6080|"port":6082/;
const policyText = (resources: RecordedResource[], policy: string) =>
  JSON.stringify(kubernetes(resources, "NetworkPolicy").find(({ metadata }) => metadata.name === policy)?.spec ?? {});
const serviceOf = (resources: RecordedResource[], name: string) =>
  kubernetes(resources, "Service").find(({ metadata }) => metadata.name === name)?.spec as {
    type: string;
    selector: Record<string, string>;
    ports: { port: number; nodePort?: number }[];
  };
const settingsOf = (resources: RecordedResource[]) =>
  kubernetes(resources, "ConfigMap").find(({ metadata }) => metadata.name.startsWith("api-config"))?.data;

// A Service that stays a NodePort Service keeps its node ports, and then the other Service can't get these ports.
test.each(["inside", {}] as const)(
  "only the Service that receives requests from outside has node ports: gateway %j",
  async (gateway) => {
    const api = { nodePort: 30080, sandboxNodePort: 30090 };
    const resources = await recordStack("prod", { api, gateway, sandboxUrl: "https://sandbox.example.net" });
    const [wayIn, other] = gateway === "inside" ? ["api", "gateway"] : ["gateway", "api"];
    const { type, ports = [] } = serviceOf(resources, wayIn ?? "") ?? {};
    expect([type, ports.flatMap(({ nodePort }) => nodePort ?? [])]).toEqual(["NodePort", [30080, 30090]]);
    expect(serviceOf(resources, other ?? "")?.type).toBe("ClusterIP");
  },
);

test("separate gateway pods are the only ones that reach sessions, read logs and receive requests from outside", async () => {
  const resources = await recordStack("prod", { api: { nodePort: 30080 }, gateway: {} });
  expect(policyText(resources, "api-egress")).not.toMatch(sessionPorts);
  expect(policyText(resources, "gateway-egress")).toMatch(sessionPorts);
  expect(peersOf(resources, "api-ingress")).toEqual(["gateway", "api"]);
  expect(peersOf(resources, "desktop-ingress")).toEqual(["gateway"]);
  expect(peersOf(resources, "channel-egress")).toEqual(["api", "gateway"]);
  const [api] = kubernetes(resources, "Deployment").filter(({ metadata }) => metadata.name === "api");
  expect(api?.spec).toMatchObject({ template: { spec: { automountServiceAccountToken: false } } });
  expect(
    kubernetes(resources, "RoleBinding").flatMap(({ metadata, subjects }) =>
      metadata.name === "berth-gateway" ? subjects : [],
    ),
  ).toEqual([{ kind: "ServiceAccount", name: "gateway", namespace: "berth" }]);
  expect(serviceOf(resources, "gateway")).toMatchObject({
    type: "NodePort",
    selector: { "app.kubernetes.io/name": "gateway" },
    ports: [{ port: 80, nodePort: 30080 }, { port: 3002 }],
  });
  expect(serviceOf(resources, "api")).toMatchObject({
    type: "ClusterIP",
    ports: [{ port: 80 }, { port: 3001 }, { port: 3002 }],
  });
  expect(settingsOf(resources)).toMatchObject({
    SESSION_URL: "http://gateway.berth.svc:3002",
    API_URL: "http://api.berth.svc",
    GATEWAY_URL: "http://gateway.berth.svc",
  });
});

test("with the gateway inside the API, the Service `gateway` selects the API's pods, also for sessions that started with separate gateway pods", async () => {
  const resources = await recordStack("prod", { api: { nodePort: 30080 }, gateway: "inside" });
  expect(kubernetes(resources, "Deployment").map(({ metadata }) => metadata.name)).not.toContain("gateway");
  expect(policyText(resources, "api-egress")).toMatch(sessionPorts);
  expect(peersOf(resources, "desktop-ingress")).toEqual(["api"]);
  expect(serviceOf(resources, "gateway")).toMatchObject({
    type: "ClusterIP",
    selector: { "app.kubernetes.io/name": "api" },
    ports: [{ port: 80 }, { port: 3002 }],
  });
  expect(serviceOf(resources, "api")).toMatchObject({ type: "NodePort", ports: [{ nodePort: 30080 }, {}, {}] });
  expect(settingsOf(resources)).toMatchObject({ SESSION_URL: "http://api.berth.svc:3002" });
  expect(settingsOf(resources)).not.toHaveProperty("GATEWAY_URL");
});

interface PodTemplate {
  metadata: { annotations?: Record<string, string> };
  spec: { nodeSelector: { pool: string } };
}

/** The pool and the annotation for Karpenter of each workload's pods, by namespace and name. */
function poolsOf(resources: RecordedResource[]) {
  const pods = workloads
    .flatMap((kind) => kubernetes(resources, kind))
    .map(({ metadata, spec }) => {
      const { template, jobTemplate } = spec as {
        template?: PodTemplate;
        jobTemplate?: { spec: { template: PodTemplate } };
      };
      const pod = template ?? jobTemplate?.spec.template;
      const stays = pod?.metadata.annotations?.["karpenter.sh/do-not-disrupt"] === "true" ? ", stays" : "";
      const name = `${metadata.namespace}/${metadata.name.replace(/-[0-9a-f]{10}$/, "")}`;
      return [name, `${pod?.spec.nodeSelector.pool}${stays}`] as const;
    });
  return Object.fromEntries(pods);
}

test("each pod runs in the pool of its kind, and image pullers run where the sessions run", async () => {
  const pool = (name: string) => ({ nodeSelector: { pool: name } });
  const image = { name: "one", image: `ghcr.io/acme/one@${digest}` };
  const resources = await recordStack("prod", {
    placement: { platform: pool("platform"), stores: pool("stores"), sessions: pool("sessions") },
    tenants: [{ name: "acme", images: [image] }, { name: "gpu", placement: pool("gpu") }, { name: "plain" }],
  });
  const stores = ["postgres", "redis", "prometheus", "postgres-dump", "postgres-restore", "postgres-restore-check"];
  const platform = [
    ...["api", "gateway", "worker", "migrate", "cleanup-expired-sessions"],
    ...["prometheus-adapter", "postgres-exporter", "redis-exporter"],
  ];
  expect(poolsOf(resources)).toEqual({
    ...Object.fromEntries(platform.map((name) => [`berth/${name}`, "platform"])),
    ...Object.fromEntries(stores.map((name) => [`berth/${name}`, "stores, stays"])),
    "berth/image-puller": "sessions",
    "tenant-acme/image-puller": "sessions",
    "tenant-gpu/image-puller": "gpu",
  });
  const [file] = kubernetes(resources, "Secret").filter(({ metadata }) => metadata.name === "tenants");
  const text = JSON.stringify(file);
  expect(["sessions", "gpu"].map((name) => text.split(`\\"pool\\":\\"${name}\\"`).length - 1)).toEqual([2, 1]);
});
