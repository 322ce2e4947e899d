/** What no committed stack has switched on: the whole program with it. */
import { beforeEach, expect, test, vi } from "vitest";
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

/** How the engine is given what must be encrypted in the state. */
const secret = (value: object) => ({ "4dabf18193072939515e22adb298388d": expect.any(String), value });

const slow = 60_000;

test(
  "the login that reads is in the namespace of everything that is pulled, and the one that pushes is in no cluster",
  async () => {
    const login = { server: "registry.example.com", username: "reader", password: "s3cret" };
    const registryPush = { username: "ci", password: "may-write" };
    const resources = await recordStack("prod", { registryLogins: [login], registryPush });
    const inCluster = resources.filter(({ type }) => type.startsWith("kubernetes:"));
    expect(JSON.stringify(inCluster)).not.toContain(registryPush.password);
    const secrets = kubernetes(resources, "Secret").filter(({ metadata }) => metadata.name === "registry-login");
    expect(secrets.map(({ metadata }) => metadata.namespace)).toEqual(["berth", "tenant-acme"]);
    const [account] = kubernetes(resources, "ServiceAccount").filter(
      ({ metadata }) => metadata.name === "agent-runner",
    );
    expect(account?.imagePullSecrets).toEqual([{ name: "registry-login" }]);
    for (const kind of ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"])
      for (const workload of kubernetes(resources, kind))
        expect(JSON.stringify(workload), workload.metadata.name).toContain(
          '"imagePullSecrets":[{"name":"registry-login"}]',
        );
    const images = resources.filter(({ type }) => type === "docker:index/image:Image");
    for (const { inputs } of images)
      expect(inputs).toMatchObject({ registry: secret({ server: login.server, username: "ci" }) });
  },
  slow,
);

test(
  "the login that reads never pushes: without one that may write, Docker's own does",
  async () => {
    const login = { server: "registry.example.com", username: "reader", password: "s3cret" };
    const resources = await recordStack("prod", { registryLogins: [login] });
    const images = resources.filter(({ type }) => type === "docker:index/image:Image");
    expect(images).toHaveLength(3);
    for (const { inputs } of images) expect(inputs).not.toHaveProperty("registry");
  },
  slow,
);

const digest = `sha256:${"0".repeat(64)}`;

test(
  "an image of a tenant is told to the runtime, and pulled by its Secret beside the stack's",
  async () => {
    const login = { server: "registry.example.com", username: "reader", password: "s3cret" };
    const images = ["one", "two"].map((name) => ({
      name,
      image: `ghcr.io/acme/${name}@${digest}`,
      pullSecret: "ghcr",
    }));
    const resources = await recordStack("prod", { registryLogins: [login], tenants: [{ name: "acme", images }] });
    const [account] = kubernetes(resources, "ServiceAccount").filter(
      ({ metadata }) => metadata.name === "agent-runner",
    );
    expect(account?.imagePullSecrets).toEqual([{ name: "registry-login" }, { name: "ghcr" }]);
    const [file] = kubernetes(resources, "Secret").filter(({ metadata }) => metadata.name === "tenants");
    expect(JSON.stringify(file)).toContain(`ghcr.io/acme/two@${digest}`);
  },
  slow,
);

test(
  "a desktop by digest is not built, and gets berthd in each pod; the nodes have it ahead all the same",
  async () => {
    const agent = `ghcr.io/acme/desktop@${digest}`;
    const resources = await recordStack("prod", { images: { agent } });
    const built = resources.filter(({ type }) => type === "docker:index/image:Image").map(({ name }) => name);
    expect(built).toEqual(["api-image", "berthd-image"]);
    const [settings] = kubernetes(resources, "ConfigMap").filter(({ metadata }) =>
      metadata.name.startsWith("api-config"),
    );
    expect(settings?.data).toMatchObject({ AGENT_IMAGE: agent, AGENT_IMAGE_HAS_BERTHD: "false" });
    expect(JSON.stringify(kubernetes(resources, "DaemonSet"))).toContain(agent);
  },
  slow,
);

test(
  "behind Traefik the limits are Middlewares of the platform's namespace",
  async () => {
    const resources = await recordStack("prod", { ingress: { controller: "traefik", controllerNamespace: "traefik" } });
    expect(kubernetes(resources, "Middleware").map(({ metadata }) => metadata)).toMatchObject([
      { name: "api-body-size", namespace: "berth" },
      { name: "api-rate-limit", namespace: "berth" },
    ]);
    const [policy] = kubernetes(resources, "NetworkPolicy").filter(
      ({ metadata }) => metadata.name === "gateway-ingress",
    );
    expect(JSON.stringify(policy?.spec)).toContain('"kubernetes.io/metadata.name":"traefik"');
  },
  slow,
);

test(
  "without an ingress and without the puller neither is there",
  async () => {
    const resources = await recordStack("prod", { ingress: null, prepullAgentImage: false });
    expect(kubernetes(resources, "Ingress")).toEqual([]);
    expect(kubernetes(resources, "DaemonSet")).toEqual([]);
  },
  slow,
);

const workloads = ["Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"];

test(
  "the pods of every workload have the platform's priority",
  async () => {
    const resources = await recordStack("prod");
    for (const kind of workloads) {
      expect(kubernetes(resources, kind), kind).not.toEqual([]);
      for (const workload of kubernetes(resources, kind))
        expect(JSON.stringify(workload), workload.metadata.name).toContain('"priorityClassName":"berth-platform"');
    }
  },
  slow,
);

test(
  "an `up` waits as long as the config says for the pods of every workload, and a Job ends by then",
  async () => {
    const resources = await recordStack("prod", { rolloutTimeout: "7m" });
    const awaited = resources.filter(({ inputs }) =>
      ["Deployment", "StatefulSet", "DaemonSet", "Job"].includes((inputs as Inputs).kind),
    );
    expect(awaited.length).toBeGreaterThan(8);
    for (const resource of awaited)
      expect(timeoutsOf(resource), resource.name).toEqual({ create: "420s", update: "420s" });
    const jobs = kubernetes(resources, "Job");
    expect(jobs.map(({ spec }) => spec)).toMatchObject(jobs.map(() => ({ activeDeadlineSeconds: 420 })));
  },
  slow,
);

/** What is requested anywhere in the value, by resource; the disks of claims are requested too. */
function requested(value: unknown): Record<string, string>[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === "requests" ? [inner] : requested(inner)));
}

test(
  "the scale is on what every container of the platform requests, and on no disk",
  async () => {
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
  },
  slow,
);

/** Which pods of the platform a policy lets in or out, by component. */
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

test(
  "with a gateway of its own, it alone goes into sessions and reads logs, and all from outside comes by it",
  async () => {
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
      SESSION_URL: "http://gateway.berth.svc.cluster.local:3002",
      API_URL: "http://api.berth.svc.cluster.local",
      GATEWAY_URL: "http://gateway.berth.svc.cluster.local",
    });
  },
  slow,
);

test(
  "with the gateway inside, the API is it: its Service leads there, for pods that were started beside a gateway too",
  async () => {
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
    expect(settingsOf(resources)).toMatchObject({ SESSION_URL: "http://api.berth.svc.cluster.local:3002" });
    expect(settingsOf(resources)).not.toHaveProperty("GATEWAY_URL");
  },
  slow,
);
