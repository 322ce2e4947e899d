import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { type Config, configSchema, parseConfig } from "./config.ts";

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };

const faultsOf = (values: Record<string, unknown>) => parseConfig(asText({ ...required, ...values })).faults;
const asText = (values: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );

test("three keys are enough; the rest has defaults", () => {
  const { config } = parseConfig(required);
  expect(config).toMatchObject({
    baseRegistry: "",
    adoptExisting: false,
    requestScale: 1,
    images: { agent: null },
    api: { autoscaling: { min: 3, max: 10, cpu: 70, memory: 80, requestsPerSecond: 100 } },
    worker: { autoscaling: { min: 2, max: 20, waitingJobs: 5 } },
    postgres: { volume: { size: "10Gi", storageClass: null } },
    kubernetesApi: null,
    tenants: [],
  });
});

test("a tenant is its name; the rest has defaults, the quota the documented one", () => {
  const { config } = parseConfig(asText({ ...required, tenants: [{ name: "acme" }] }));
  expect((config as Config).tenants[0]).toEqual({
    name: "acme",
    remove: false,
    keys: [{ name: "default", scopes: ["read", "write", "desktop"], expiresAt: null, sha256: null, secret: null }],
    quota: {
      requestsCpu: "20",
      limitsCpu: "40",
      requestsMemory: "40Gi",
      limitsMemory: "80Gi",
      pods: 50,
      storage: "500Gi",
      volumes: 200,
    },
    maxSessions: null,
    priority: 50,
    idleTimeout: null,
    commandIsActivity: true,
    maxLifetime: null,
    retention: "0s",
    workspace: { mode: "persistent", size: "10Gi", storageClass: null },
    warmPools: { small: 0, medium: 0, large: 0 },
    images: [],
    exec: false,
    onDrain: "end",
    webhooks: [],
    agentConfig: {},
    egress: [],
    runtimeClassName: null,
    priorityClassName: "berth-session",
  });
});

test("an image of a tenant is a name and a digest; the rest has defaults", () => {
  const { config } = parseConfig(asText({ ...required, ...acme({ images: [browser] }) }));
  expect((config as Config).tenants[0]?.images).toEqual([
    {
      ...browser,
      desktop: false,
      command: null,
      writableRoot: false,
      pullSecret: null,
      warmPools: { small: 0, medium: 0, large: 0 },
    },
  ]);
});

test.each([
  "node@sha256:",
  "127.0.0.1:5000/docker.io/library/node:24-bookworm-slim@sha256:",
  "registry.k8s.io/a_b/c:V1.2@sha256:",
])("%s… is an image by digest", (image) => {
  expect(faultsOf(acme({ images: [{ name: "one", image: image + "0".repeat(64) }] }))).toBeUndefined();
});

const acme = (values: Record<string, unknown>) => ({ tenants: [{ name: "acme", ...values }] });
const browser = { name: "browser", image: `ghcr.io/acme/browser:1@sha256:${"0".repeat(64)}` };
const webhook = { url: "https://hooks.example.com", secret: "0123456789abcdef" };

test.each<[string, Record<string, unknown>, string]>([
  ["a key missing", { context: undefined }, "context: is missing"],
  ["an empty context", { context: "" }, 'context: "" is empty; name a context of your kubeconfig'],
  [
    "a scheme in the registry",
    { registry: "https://x" },
    'registry: "https://x" is not a registry and path, for example ghcr.io/acme/berth',
  ],
  ["a wrong type", { adoptExisting: "yes" }, 'adoptExisting: "yes" is not a boolean'],
  ["an unknown key", { replicas: 3 }, "replicas: is not a key that Berth knows; check its spelling"],
  ["an unknown key inside", { api: { replica: 3 } }, "api.replica: is not a key that Berth knows; check its spelling"],
  ["no pods", { api: { autoscaling: { min: 0 } } }, "api.autoscaling.min: 0 is below 1"],
  [
    "more pods at least than at most",
    { worker: { autoscaling: { min: 8, max: 4 } } },
    "worker.autoscaling.max: 4 is below autoscaling.min, 8",
  ],
  ["an unknown autoscaler", { autoscaler: "vpa" }, 'autoscaler: "vpa" is none of hpa, keda, off'],
  [
    "no name for KEDA's namespace",
    { keda: { namespace: "KEDA" } },
    'keda.namespace: "KEDA" is not a Kubernetes name: 1 to 63 of a-z, 0-9 and -, neither first nor last a -',
  ],
  [
    "too long a window",
    { api: { autoscaling: { down: { window: "2h" } } } },
    'api.autoscaling.down.window: "2h" is more than 1h',
  ],
  [
    "an unknown ingress controller",
    { ingress: { controller: "apache" } },
    'ingress.controller: "apache" is none of nginx, haproxy, traefik',
  ],
  [
    "an address in place of a host",
    { ingress: { controller: "nginx", hosts: ["https://berth.example.com"] } },
    'ingress.hosts[0]: "https://berth.example.com" is not a host name, for example berth.example.com',
  ],
  [
    "two issuers",
    { ingress: { controller: "nginx", tls: { clusterIssuer: "a", issuer: "b" } } },
    'ingress.tls.issuer: "b" is set beside clusterIssuer',
  ],
  [
    "a path in a registry's host",
    { registryLogins: [{ server: "ghcr.io/acme", username: "ci", password: "x" }] },
    'registryLogins[0].server: "ghcr.io/acme" is not a registry\'s host, for example ghcr.io',
  ],
  ["no requests at all", { requestScale: 0 }, "requestScale: 0 is below 0.01"],
  ["a low node port", { api: { nodePort: 80 } }, "api.nodePort: 80 is below 30000"],
  ["half a pod", { worker: { autoscaling: { max: 2.5 } } }, "worker.autoscaling.max: 2.5 is not a whole number"],
  [
    "CPU and memory that nothing measures",
    { adapter: { resourceMetrics: true } },
    "adapter.resourceMetrics: true needs prometheus.kubelets, where CPU and memory are measured",
  ],
  [
    "fewer connections than pods need",
    { postgres: { maxConnections: 100 }, worker: { autoscaling: { max: 30 } } },
    "postgres.maxConnections: 100 is too few for 42 pods of API, gateway and worker, the most that there may be; they need 188",
  ],
  ["no JSON", { tenants: "acme" }, 'tenants: "acme" is not an array'],
  ["a tenant without name", { tenants: [{}] }, "tenants[0].name: is missing"],
  [
    "a tenant twice",
    { tenants: [{ name: "acme" }, { name: "acme" }] },
    'tenants[1].name: "acme" is the name of tenants[0] already',
  ],
  [
    "a wrong quantity",
    { tenants: [{ name: "a" }, { name: "b" }, { name: "c", quota: { limitsMemory: "40GB" } }] },
    'tenants[2].quota.limitsMemory: "40GB" is not a Kubernetes quantity; did you mean 40G or 40Gi?',
  ],
  [
    "a private range",
    { tenants: [{ name: "acme", egress: [{ cidr: "10.1.2.0/24" }] }] },
    'tenants[0].egress[0].cidr: "10.1.2.0/24" lies in 10.0.0.0/8, which sessions never reach by address',
  ],
  [
    "the admin's name",
    { tenants: [{ name: "admin" }] },
    'tenants[0].name: "admin" is kept for the admin\'s keys; take another name',
  ],
  ["no idle time", acme({ idleTimeout: "0s" }), 'tenants[0].idleTimeout: "0s" is no time at all'],
  [
    "a duration without unit",
    acme({ retention: "30" }),
    'tenants[0].retention: "30" is not a duration, for example 90s, 30m, 8h or 7d',
  ],
  ["a priority out of range", acme({ priority: 101 }), "tenants[0].priority: 101 is above 100"],
  ["more sessions than pods", acme({ maxSessions: 60 }), "tenants[0].maxSessions: 60 is above quota.pods, which is 50"],
  [
    "more warm sessions than pods",
    acme({ warmPools: { small: 30, large: 30 } }),
    "tenants[0].warmPools: {…} is 60 in sum, above quota.pods, which is 50",
  ],
  [
    "more warm sessions of all images than pods",
    acme({ warmPools: { small: 30 }, images: [{ ...browser, warmPools: { large: 30 } }] }),
    "tenants[0].warmPools: {…} is 60 in sum with those of its images, above quota.pods, which is 50",
  ],
  [
    "an image by its tag",
    acme({ images: [{ ...browser, image: "docker.io/library/node:24" }] }),
    'tenants[0].images[0].image: "docker.io/library/node:24" is not an image by digest, for example docker.io/library/node:24@sha256:…',
  ],
  [
    "the platform's desktop by its tag",
    { images: { agent: "ghcr.io/acme/desktop:1" } },
    'images.agent: "ghcr.io/acme/desktop:1" is not an image by digest, for example docker.io/library/node:24@sha256:…',
  ],
  [
    "two images of one name",
    acme({ images: [browser, browser] }),
    'tenants[0].images[1].name: "browser" is the name of the list\'s [0] already',
  ],
  [
    "an image's command without a program",
    acme({ images: [{ ...browser, command: [] }] }),
    "tenants[0].images[0].command: […] is empty; name the program, or leave the key out",
  ],
  [
    "an unknown scope",
    acme({ keys: [{ name: "ci", scopes: ["admin"] }] }),
    'tenants[0].keys[0].scopes[0]: "admin" is none of read, write, desktop',
  ],
  [
    "a key's name twice",
    acme({ keys: [{ name: "ci" }, { name: "ci" }] }),
    'tenants[0].keys[1].name: "ci" is the name of the list\'s [0] already',
  ],
  [
    "a time without its zone",
    acme({ keys: [{ name: "ci", expiresAt: "2027-01-31T00:00:00" }] }),
    'tenants[0].keys[0].expiresAt: "2027-01-31T00:00:00" is not a date or a time with its zone, for example 2027-01-31T00:00:00Z',
  ],
  [
    "a key of two origins",
    acme({ keys: [{ name: "ci", sha256: "0".repeat(64), secret: "acme-key" }] }),
    'tenants[0].keys[0].secret: "acme-key" comes on top of sha256; leave one of the two out',
  ],
  [
    "an address without its length",
    { tenants: [{ name: "acme", egress: [{ cidr: "203.0.113.9" }] }] },
    'tenants[0].egress[0].cidr: "203.0.113.9" is not an address range, for example 203.0.113.0/24 or 0.0.0.0/0',
  ],
])("%s is one fault that names path, value and rule", (_, values, line) => {
  expect(faultsOf(values)).toEqual([line]);
});

test.each([
  ["https://*.sandbox.example.org", "https://berth.example.com", {}],
  ["https://*.berth.co.uk", "https://example.co.uk", {}],
  ["http://*.localhost:30090", "http://127.0.0.1:30080", {}],
  ["https://*.one.vercel.app", "https://two.vercel.app", {}], // a public suffix of a provider's
  ["https://sandbox.example.com", "https://berth.example.com", {}],
  ["http://192.0.2.7:30090", "http://192.0.2.7:30080", {}],
])("sessions' ports may be at %s where the API is at %s", (sandboxUrl, publicUrl, values) => {
  expect(faultsOf({ sandboxUrl, publicUrl, ...values })).toBeUndefined();
});

const shares = (domain: string, host: string) =>
  `shares the domain ${domain} with the API's host ${host}: a session's page could set cookies for ${domain}, which the API's host would get; name a domain that is no part of ${domain}`;
const noUrl = "is not an http or https URL of a host and no path, for example https://*.sandbox.example.org";

test.each([
  ["https://*.example.com", "https://berth.example.com", {}, shares("example.com", "berth.example.com")],
  ["https://*.sandbox.example.com", "https://berth.example.com", {}, shares("example.com", "berth.example.com")],
  ["https://*.sandbox.example.com", "https://example.com", {}, shares("example.com", "example.com")],
  [
    "https://*.s.example.org",
    "https://192.0.2.7",
    { ingress: { controller: "nginx", hosts: ["a.example.com", "*.example.org"] } },
    shares("example.org", "*.example.org"),
  ],
  [
    "https://berth.example.com/",
    "https://berth.example.com",
    {},
    "has the origin of publicUrl, so that sessions' pages would be pages of the API",
  ],
  [
    "https://berth.example.com:8443",
    "https://berth.example.com",
    { ingress: { controller: "nginx" } },
    "has a host of the API's, where the Ingress can't tell the two apart; name another",
  ],
  ["https://*.192.0.2.7", "https://berth.example.com", {}, noUrl],
  ["https://a.*.example.org", "https://berth.example.com", {}, noUrl],
  ["https://*.example.org/path", "https://berth.example.com", {}, noUrl],
  ["ftp://*.example.org", "https://berth.example.com", {}, noUrl],
  ["*.example.org", "https://berth.example.com", {}, noUrl],
])("sessions' ports can't be at %s where the API is at %s", (sandboxUrl, publicUrl, values, rule) => {
  expect(faultsOf({ sandboxUrl, publicUrl, ...values })).toEqual([`sandboxUrl: "${sandboxUrl}" ${rule}`]);
});

test("all faults are told at once", () => {
  expect(faultsOf({ publicUrl: "berth", tenants: [{ name: "Acme", quota: { pods: -1, cpu: "1" } }] })).toEqual([
    'publicUrl: "berth" is not an http or https URL',
    'tenants[0].name: "Acme" is not a tenant name: 1 to 40 of a-z, 0-9 and -, first a letter, last not a -',
    "tenants[0].quota.pods: -1 is below 0",
    "tenants[0].quota.cpu: is not a key that Berth knows; check its spelling",
  ]);
});

test.each([
  ["2027-01-31", "2027-01-31T00:00:00Z"],
  ["2027-01-31T18:00:00+01:00", "2027-01-31T18:00:00+01:00"],
  ["2027-01-31 00:00:00 +0000 UTC", "2027-01-31T00:00:00Z"], // what Pulumi makes of one without quotes
])("a key that expires at %s does so at %s", (expiresAt, time) => {
  const { config } = parseConfig(asText({ ...required, ...acme({ keys: [{ name: "ci", expiresAt }] }) }));
  expect(config?.tenants[0]?.keys[0]?.expiresAt).toBe(time);
});

test("a fault never shows a secret", () => {
  const faults = (webhooks: unknown) => faultsOf(acme({ webhooks }));
  expect(faults([{ ...webhook, secret: "hunter2" }])).toEqual([
    "tenants[0].webhooks[0].secret: is not text of 16 characters or more",
  ]);
  expect(faults([{ ...webhook, secret: 123456789 }])).toEqual([
    "tenants[0].webhooks[0].secret: is not text of 16 characters or more",
  ]);
  expect(faults(webhook)).toEqual(["tenants[0].webhooks: {…} is not an array"]);
});

test("text that looks like a number may be a context", () => {
  expect(parseConfig({ ...required, context: "123" }).config?.context).toBe("123");
});

test("the gateway is inside, or has keys whose faults are named as those of all others", () => {
  expect(parseConfig(required).config?.gateway).toBe("inside");
  expect(parseConfig(asText({ ...required, gateway: "inside" })).config?.gateway).toBe("inside");
  const { config } = parseConfig(asText({ ...required, gateway: {} }));
  expect(config?.gateway).toMatchObject({ autoscaling: { min: 2, max: 10, cpu: 70, connections: 500 } });
  expect(faultsOf({ gateway: "outside" })).toEqual(['gateway: "outside" is neither inside nor a group of keys']);
  expect(faultsOf({ gateway: { replicas: 2, autoscaling: { min: 3, max: 2, cpu: "x" } } })).toEqual([
    'gateway.autoscaling.cpu: "x" is not a whole number',
    "gateway.replicas: is not a key that Berth knows; check its spelling",
  ]);
});

test("Pulumi.yaml declares every plain key with the schema's default", () => {
  const project = parse(readFileSync(new URL("../../Pulumi.yaml", import.meta.url), "utf8"));
  const { config } = parseConfig(required);
  const plain = Object.entries(config as Config).filter(([, value]) => ["string", "boolean"].includes(typeof value));
  // It may be a group of keys too, and Pulumi knows one type for each.
  plain.splice(
    plain.findIndex(([key]) => key === "gateway"),
    1,
  );
  expect(Object.keys(project.config).sort()).toEqual(plain.map(([key]) => key).sort());
  for (const [key, value] of plain.filter(([key]) => !(key in required)))
    expect(project.config[key]).toMatchObject({ type: typeof value, default: value, description: expect.any(String) });
  expect(Object.keys(configSchema.shape)).toEqual(expect.arrayContaining(Object.keys(project.config)));
});
