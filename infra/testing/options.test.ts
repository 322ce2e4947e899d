/** What no committed stack has switched on: the whole program with it. */
import { beforeEach, expect, test, vi } from "vitest";
import { type RecordedResource, recordStack } from "./record.ts";

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
    expect(images).toHaveLength(2);
    for (const { inputs } of images) expect(inputs).not.toHaveProperty("registry");
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
    const [policy] = kubernetes(resources, "NetworkPolicy").filter(({ metadata }) => metadata.name === "api-ingress");
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
