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
