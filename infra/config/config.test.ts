import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { type Config, configSchema, parseConfig } from "./config.ts";
import { buildArguments, buildSecrets } from "./images.ts";

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };

const faultsOf = (values: Record<string, unknown>) => parseConfig(asText({ ...required, ...values })).faults;
const asText = (values: Record<string, unknown>) =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]),
  );

test("a config needs three keys, or two if it names all images; all other keys have defaults", () => {
  const { config } = parseConfig(required);
  expect(config).toMatchObject({
    baseRegistry: "",
    adoptExisting: false,
    requestScale: 1,
    images: { api: null, agent: null, berthd: null, berthdVolume: "copy" },
    api: { autoscaling: { min: 3, max: 20, cpu: 70, memory: 80, requestsPerSecond: 100 } },
    worker: { autoscaling: { min: 2, max: 20, waitingJobs: 5 } },
    postgres: { volume: { size: "10Gi", storageClass: null } },
    kubernetesApi: [],
    tenants: [],
  });
});

test("a tenant needs only a name; all other keys have the documented defaults", () => {
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
    placement: { nodeSelector: null, tolerations: null, affinity: null, architecture: null },
    runtimeClassName: null,
    priorityClassName: "berth-sessions",
  });
});

test("an image of a tenant needs only a name and a digest; all other keys have defaults", () => {
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
  ["a missing key", { publicUrl: undefined }, "publicUrl: is missing"],
  ["an empty context", { context: "" }, 'context: "" is empty; name a context of your kubeconfig, or set `kubeconfig`'],
  [
    "a missing context",
    { context: undefined },
    "context: is empty; name a context of your kubeconfig, or set `kubeconfig`",
  ],
  [
    "a kubeconfig whose cluster nothing identifies",
    { context: "", kubeconfig: "{clusters: [], contexts: [], users: []}" },
    'context: "" is empty, and so is `clusterId`; set one of them beside `kubeconfig`, so that another kubeconfig of the same cluster replaces no resource',
  ],
  [
    "a path in place of a kubeconfig, which is not shown",
    { kubeconfig: "/root/hunter2" },
    "kubeconfig: is not the content of a kubeconfig, which has `clusters`, `contexts` and `users`",
  ],
  [
    "a short name of the stack that made the cluster",
    { kubeconfig: { stack: "prod" } },
    'kubeconfig.stack: "prod" is not the full name of a stack: organization/project/stack',
  ],
  [
    "a cluster's name in place of its UID",
    { clusterId: "prod" },
    "clusterId: \"prod\" is not a UID; read the cluster's with `kubectl get namespace kube-system -o jsonpath='{.metadata.uid}'`",
  ],
  [
    "a scheme in the registry",
    { registry: "https://x" },
    'registry: "https://x" is not a registry and path; write for example ghcr.io/acme/berth',
  ],
  ["a wrong type", { adoptExisting: "yes" }, 'adoptExisting: "yes" is not a boolean'],
  ["an unknown key", { replicas: 3 }, "replicas: is not a key that Berth knows; check its spelling"],
  ["an unknown key inside", { api: { replica: 3 } }, "api.replica: is not a key that Berth knows; check its spelling"],
  ["no pods", { api: { autoscaling: { min: 0 } } }, "api.autoscaling.min: 0 is below 1"],
  [
    "a min of pods above the max",
    { worker: { autoscaling: { min: 8, max: 4 } } },
    "worker.autoscaling.max: 4 is below autoscaling.min, 8",
  ],
  ["an unknown autoscaler", { autoscaler: "vpa" }, 'autoscaler: "vpa" is none of hpa, keda, off'],
  [
    "an invalid name of KEDA's namespace",
    { keda: { namespace: "KEDA" } },
    'keda.namespace: "KEDA" is not a Kubernetes name: 1 to 63 characters of a-z, 0-9 and -, the first and last not a -',
  ],
  [
    "a window that is too long",
    { api: { autoscaling: { down: { window: "2h" } } } },
    'api.autoscaling.down.window: "2h" is more than 1h',
  ],
  [
    "an unknown ingress controller",
    { ingress: { controller: "apache" } },
    'ingress.controller: "apache" is none of gateway-api, haproxy, nginx, traefik, custom',
  ],
  ["an ingress without a controller", { ingress: {} }, "ingress.controller: is missing"],
  ["a route without a Gateway", { ingress: { controller: "gateway-api" } }, "ingress.gateway: is missing"],
  [
    "a certificate for a route",
    { ingress: { controller: "gateway-api", gateway: { name: "a", namespace: "b" }, tls: null } },
    "ingress.tls: is not a key that Berth knows; check its spelling",
  ],
  [
    "a time limit in days for a route",
    { ingress: { controller: "gateway-api", gateway: { name: "a", namespace: "b" }, requestTimeout: "1d" } },
    'ingress.requestTimeout: "1d" is not a duration of the Gateway API; write for example 0s, 90s or 8h',
  ],
  ["another controller without a class", { ingress: { controller: "custom" } }, "ingress.className: is missing"],
  [
    "a URL instead of a host name",
    { ingress: { controller: "nginx", hosts: ["https://berth.example.com"] } },
    'ingress.hosts[0]: "https://berth.example.com" is not a host name; write for example berth.example.com',
  ],
  [
    "two issuers",
    { ingress: { controller: "nginx", tls: { clusterIssuer: "a", issuer: "b" } } },
    'ingress.tls.issuer: "b" is set, and clusterIssuer too; set one of the two',
  ],
  [
    "a path in a registry's host",
    { registryLogins: [{ server: "ghcr.io/acme", username: "ci", password: "x" }] },
    'registryLogins[0].server: "ghcr.io/acme" is not a registry\'s host; write for example ghcr.io',
  ],
  ["no requests at all", { requestScale: 0 }, "requestScale: 0 is below 0.01"],
  ["a low node port", { api: { nodePort: 80 } }, "api.nodePort: 80 is below 30000"],
  ["half a pod", { worker: { autoscaling: { max: 2.5 } } }, "worker.autoscaling.max: 2.5 is not a whole number"],
  [
    "an adapter for CPU and memory that Prometheus does not measure",
    { adapter: { resourceMetrics: true } },
    "adapter.resourceMetrics: true needs prometheus.kubelets, because Prometheus measures CPU and memory at the kubelets; set it",
  ],
  [
    "fewer connections than pods need",
    { postgres: { maxConnections: 100 }, worker: { autoscaling: { max: 30 } } },
    "postgres.maxConnections: 100 is too few: the config allows up to 52 pods of API, gateway and worker, which need 208 connections, and 20 are kept for other clients, so set at least 228",
  ],
  ["text instead of a list", { tenants: "acme" }, 'tenants: "acme" is not an array'],
  [
    "a list that is not JSON",
    { tenants: '[{"name": "acme"},\n {"name": }]' },
    "tenants: is not JSON, line 2, column 11",
  ],
  ["a group that is not JSON", { gateway: '{"autoscaling": {"min": 2}' }, "gateway: is not JSON, line 1, column 27"],
  ["text that looks like a list", { publicUrl: "[x" }, 'publicUrl: "[x" is not an http or https URL'],
  ["a tenant without name", { tenants: [{}] }, "tenants[0].name: is missing"],
  [
    "two tenants with the same name",
    { tenants: [{ name: "acme" }, { name: "acme" }] },
    'tenants[1].name: "acme" is already the name of tenants[0]',
  ],
  [
    "a wrong quantity",
    { tenants: [{ name: "a" }, { name: "b" }, { name: "c", quota: { limitsMemory: "40GB" } }] },
    'tenants[2].quota.limitsMemory: "40GB" is not a Kubernetes quantity; did you mean 40G or 40Gi?',
  ],
  [
    "a private range",
    { tenants: [{ name: "acme", egress: [{ cidr: "10.1.2.0/24" }] }] },
    'tenants[0].egress[0].cidr: "10.1.2.0/24" lies in 10.0.0.0/8, which is private; set `private: true` if sessions may reach it, or remove it',
  ],
  [
    "a tenant with the name admin",
    { tenants: [{ name: "admin" }] },
    'tenants[0].name: "admin" is reserved for the administrators\' keys; use another name',
  ],
  ["an idle timeout of zero", acme({ idleTimeout: "0s" }), 'tenants[0].idleTimeout: "0s" is not above zero'],
  [
    "a duration without unit",
    acme({ retention: "30" }),
    'tenants[0].retention: "30" is not a duration; write for example 90s, 30m, 8h or 7d',
  ],
  ["a priority out of range", acme({ priority: 101 }), "tenants[0].priority: 101 is above 100"],
  [
    "the class of pods that no quota counts",
    acme({ priorityClassName: "berth-image-puller" }),
    'tenants[0].priorityClassName: "berth-image-puller" is the class of the image pullers, whose pods no quota counts; name another class',
  ],
  [
    "the class of pods that no quota counts, by another name",
    { priorityClasses: { imagePullers: { name: "low", value: null } }, ...acme({ priorityClassName: "low" }) },
    'tenants[0].priorityClassName: "low" is the class of the image pullers, whose pods no quota counts; name another class',
  ],
  [
    "image pullers with the class of sessions",
    { priorityClasses: { imagePullers: { name: "low" }, sessions: { name: "low" } } },
    'priorityClasses.imagePullers.name: "low" is the class of other pods too, and the quotas of tenants count no pod of this class; name another class',
  ],
  [
    "sessions with the platform's class",
    { priorityClasses: { platform: { name: "one", value: null }, sessions: { name: "one", value: null } } },
    'priorityClasses.sessions.name: "one" is the class of the platform\'s pods too, and sessions must not preempt other pods; name another class',
  ],
  [
    "a tenant with the platform's class",
    acme({ priorityClassName: "berth-platform" }),
    'tenants[0].priorityClassName: "berth-platform" is the class of the platform\'s pods, and sessions must not preempt other pods; name another class',
  ],
  [
    "one node port for two Service ports",
    { api: { nodePort: 30080, sandboxNodePort: 30080 } },
    "api.sandboxNodePort: 30080 is `nodePort` too, and a port leads to one Service port only; choose another port",
  ],
  [
    "more warm sessions than CPUs",
    acme({ warmPools: { large: 10 } }),
    "tenants[0].warmPools: {…} has sessions that need more than the quota: quota.limitsCpu is 40, and the sessions need 45, quota.limitsMemory is 80Gi, and the sessions need 82.5Gi; make the pools smaller, or raise the quota",
  ],
  [
    "more warm sessions of all images than CPUs",
    acme({ warmPools: { small: 20 }, images: [{ ...browser, warmPools: { large: 3 } }] }),
    "tenants[0].warmPools: {…} has sessions, with those of the images, that need more than the quota: quota.limitsCpu is 40, and the sessions need 42; make the pools smaller, or raise the quota",
  ],
  [
    "more warm workspaces than storage",
    acme({ warmPools: { small: 3 }, quota: { storage: "20Gi", volumes: 2 } }),
    "tenants[0].warmPools: {…} has sessions that need more than the quota: quota.storage is 20Gi, and the sessions need 30Gi, quota.volumes is 2, and the sessions need 3; make the pools smaller, or raise the quota",
  ],
  [
    "a name with an empty part",
    { storageClass: "fast..ssd" },
    'storageClass: "fast..ssd" is not a Kubernetes name: parts of a-z, 0-9 and - between dots, the first and last of each part not a -',
  ],
  [
    "a name that is too long",
    { storageClass: "a".repeat(254) },
    `storageClass: "${"a".repeat(254)}" is longer than 253 characters, the most that Kubernetes allows in a name`,
  ],
  [
    "a namespace with a dot",
    { namespace: "berth.staging" },
    'namespace: "berth.staging" is not a Kubernetes name: 1 to 63 characters of a-z, 0-9 and -, the first and last not a -',
  ],
  [
    "sessions above the platform",
    { priorityClasses: { platform: { value: 100 }, sessions: { value: 100 } } },
    "priorityClasses.sessions.value: 100 is not below priorityClasses.platform.value, which is 100, so the platform could not preempt sessions",
  ],
  [
    "a class of Kubernetes itself with a value",
    { priorityClasses: { platform: { name: "system-cluster-critical" } } },
    'priorityClasses.platform.name: "system-cluster-critical" is a name that Kubernetes reserves; to use a class that exists, set `value: null`',
  ],
  ["more sessions than pods", acme({ maxSessions: 60 }), "tenants[0].maxSessions: 60 is above quota.pods, which is 50"],
  [
    "more warm sessions than pods",
    acme({ warmPools: { small: 30, large: 30 } }),
    "tenants[0].warmPools: {…} has 60 sessions in total, above quota.pods, which is 50",
  ],
  [
    "more warm sessions than sessions",
    acme({ maxSessions: 4, warmPools: { small: 5 } }),
    "tenants[0].warmPools: {…} has 5 sessions in total, above maxSessions, which is 4",
  ],
  [
    "more warm sessions of all images than pods",
    acme({ warmPools: { small: 30 }, images: [{ ...browser, warmPools: { large: 30 } }] }),
    "tenants[0].warmPools: {…} has 60 sessions in total with those of the images, above quota.pods, which is 50",
  ],
  ["migrations of more than a day", { migrationTimeout: "25h" }, 'migrationTimeout: "25h" is not between 10s and 24h'],
  [
    "an image by its tag",
    acme({ images: [{ ...browser, image: "docker.io/library/node:24" }] }),
    'tenants[0].images[0].image: "docker.io/library/node:24" is not an image by digest; write for example docker.io/library/node:24@sha256:…',
  ],
  [
    "the platform's desktop by its tag",
    { images: { agent: "ghcr.io/acme/desktop:1" } },
    'images.agent: "ghcr.io/acme/desktop:1" is not an image by digest; write for example docker.io/library/node:24@sha256:…',
  ],
  [
    "an unknown volume for berthd",
    { images: { berthdVolume: "mount" } },
    'images.berthdVolume: "mount" is neither copy nor image',
  ],
  [
    "two images with the same name",
    acme({ images: [browser, browser] }),
    'tenants[0].images[1].name: "browser" is already the name of entry [0] of the same list, whose first entry is [0]',
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
    "two keys with the same name",
    acme({ keys: [{ name: "ci" }, { name: "ci" }] }),
    'tenants[0].keys[1].name: "ci" is already the name of entry [0] of the same list, whose first entry is [0]',
  ],
  [
    "a time without its zone",
    acme({ keys: [{ name: "ci", expiresAt: "2027-01-31T00:00:00" }] }),
    'tenants[0].keys[0].expiresAt: "2027-01-31T00:00:00" is not a date or a time with its zone; write for example 2027-01-31T00:00:00Z',
  ],
  [
    "a key with two sources",
    acme({ keys: [{ name: "ci", sha256: "0".repeat(64), secret: "acme-key" }] }),
    'tenants[0].keys[0].secret: "acme-key" is set, and sha256 too; remove one of the two',
  ],
  [
    "an address without a prefix length",
    { tenants: [{ name: "acme", egress: [{ cidr: "203.0.113.9" }] }] },
    'tenants[0].egress[0].cidr: "203.0.113.9" is not an address range; write for example 203.0.113.0/24 or 0.0.0.0/0',
  ],
])("%s gives one fault with the path, the value and the rule", (_, values, line) => {
  expect(faultsOf(values)).toEqual([line]);
});

test.each([
  ["https://*.sandbox.example.org", "https://berth.example.com", {}],
  ["https://*.berth.co.uk", "https://example.co.uk", {}],
  ["http://*.localhost:30090", "http://127.0.0.1:30080", {}],
  ["https://*.one.vercel.app", "https://two.vercel.app", {}], // vercel.app is a public suffix
  ["https://sandbox.example.com", "https://berth.example.com", {}],
  ["http://192.0.2.7:30090", "http://192.0.2.7:30080", {}],
])("sandboxUrl may be %s if publicUrl is %s", (sandboxUrl, publicUrl, values) => {
  expect(faultsOf({ sandboxUrl, publicUrl, ...values })).toBeUndefined();
});

const shares = (domain: string, host: string) =>
  `shares the domain ${domain} with the API's host ${host}: a session's page could set cookies for ${domain}, and browsers would send them to the API; use another domain than ${domain}`;
const noUrl = "is not an http or https URL of a host and no path; write for example https://*.sandbox.example.org";

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
    "has the same origin as publicUrl, so that browsers would treat sessions' pages as pages of the API; use another host",
  ],
  [
    "https://berth.example.com:8443",
    "https://berth.example.com",
    { ingress: { controller: "nginx" } },
    "has the same host as the API, so that the Ingress can't separate the two; use another host",
  ],
  ["https://*.192.0.2.7", "https://berth.example.com", {}, noUrl],
  ["https://a.*.example.org", "https://berth.example.com", {}, noUrl],
  ["https://*.example.org/path", "https://berth.example.com", {}, noUrl],
  ["ftp://*.example.org", "https://berth.example.com", {}, noUrl],
  ["*.example.org", "https://berth.example.com", {}, noUrl],
])("sandboxUrl can't be %s if publicUrl is %s", (sandboxUrl, publicUrl, values, rule) => {
  expect(faultsOf({ sandboxUrl, publicUrl, ...values })).toEqual([`sandboxUrl: "${sandboxUrl}" ${rule}`]);
});

test("warm sessions that exactly fill the quota are accepted, and ephemeral workspaces need no storage", () => {
  const quota = { requestsCpu: "1.1", limitsCpu: "3", requestsMemory: "2176Mi", limitsMemory: "4608Mi" };
  expect(faultsOf(acme({ warmPools: { small: 2 }, quota }))).toBeUndefined();
  const workspace = { mode: "ephemeral" };
  expect(faultsOf(acme({ warmPools: { small: 2 }, quota: { storage: "0", volumes: 0 }, workspace }))).toBeUndefined();
});

test("names of classes, Secrets, Gateways and issuers may have dots and up to 253 characters", () => {
  const dotted = `${"a".repeat(63)}.acme.example.com`;
  const external = { secret: dotted, addresses: [{ cidr: "203.0.113.5/32", port: 6379 }] };
  const tls = { secretName: dotted, issuer: dotted };
  const image = { ...browser, pullSecret: dotted };
  expect(
    faultsOf({
      storageClass: dotted,
      ingress: { controller: "nginx", className: dotted, tls, sandboxTls: { clusterIssuer: dotted } },
      priorityClasses: { platform: { name: dotted, value: null } },
      imagePullSecrets: [dotted],
      tokenKeySecret: dotted,
      postgres: { passwordSecret: dotted, volume: { storageClass: dotted } },
      redis: { external },
      ...acme({
        ...{ runtimeClassName: dotted, priorityClassName: "other.example.com", images: [image] },
        keys: [{ name: "ci", secret: dotted }],
      }),
    }),
  ).toBeUndefined();
  const gateway = { name: dotted, namespace: "edge", listener: dotted, sandboxListener: dotted };
  expect(faultsOf({ ingress: { controller: "gateway-api", gateway } })).toBeUndefined();
});

test("one run reports all faults of a config", () => {
  expect(faultsOf({ publicUrl: "berth", tenants: [{ name: "Acme", quota: { pods: -1, cpu: "1" } }] })).toEqual([
    'publicUrl: "berth" is not an http or https URL',
    'tenants[0].name: "Acme" is not a tenant name: 1 to 40 characters of a-z, 0-9 and -, the first a letter, the last not a -',
    "tenants[0].quota.pods: -1 is below 0",
    "tenants[0].quota.cpu: is not a key that Berth knows; check its spelling",
  ]);
});

test.each([
  ["2027-01-31", "2027-01-31T00:00:00Z"],
  ["2027-01-31T18:00:00+01:00", "2027-01-31T18:00:00+01:00"],
  ["2027-01-31 00:00:00 +0000 UTC", "2027-01-31T00:00:00Z"], // Pulumi's format of a date without quotes
])("a key with expiresAt %s expires at %s", (expiresAt, time) => {
  const { config } = parseConfig(asText({ ...required, ...acme({ keys: [{ name: "ci", expiresAt }] }) }));
  expect(config?.tenants[0]?.keys[0]?.expiresAt).toBe(time);
});

test("a fault's message never shows a secret", () => {
  const faults = (webhooks: unknown) => faultsOf(acme({ webhooks }));
  expect(faults([{ ...webhook, secret: "hunter2" }])).toEqual([
    "tenants[0].webhooks[0].secret: is not text of 16 characters or more",
  ]);
  expect(faults([{ ...webhook, secret: 123456789 }])).toEqual([
    "tenants[0].webhooks[0].secret: is not text of 16 characters or more",
  ]);
  expect(faults(webhook)).toEqual(["tenants[0].webhooks: {…} is not an array"]);
});

const byDigest = (image: string) => `ghcr.io/acme/berth/${image}@sha256:${"0".repeat(64)}`;

test("`registry` is needed only for images that Berth builds", () => {
  const images = { api: byDigest("api"), agent: byDigest("agent"), berthd: byDigest("berthd") };
  expect(faultsOf({ registry: undefined, images })).toBeUndefined();
  expect(faultsOf({ registry: "", images: { ...images, agent: { buildArgs: { BROWSER: "chromium" } } } })).toEqual([
    'registry: "" is empty, but Berth builds the images agent and must push them; name a registry, or name these images by digest under `images`',
  ]);
  expect(faultsOf({ registry: undefined })).toEqual([
    "registry: is empty, but Berth builds the images api, agent, berthd and must push them; name a registry, or name these images by digest under `images`",
  ]);
});

test("an own image is an image by digest or a group of keys, and its Dockerfile must declare each build argument", () => {
  const agent = { buildArgs: { BROWSER: "chromium", HTTPS_PROXY: "http://proxy:3128" } };
  expect(parseConfig(asText({ ...required, images: { agent } })).config?.images).toMatchObject({ agent, api: null });
  expect(faultsOf({ images: { agent: { buildArgs: { BROWSR: "chromium" } } } })).toEqual([
    "images.agent.buildArgs.BROWSR: has no effect, because images/agent/Dockerfile doesn't declare the argument; it declares DEBIAN_IMAGE, GO_IMAGE, BROWSER, SECURITY_EPOCH. Build arguments must not contain secrets: only the image api takes secrets, in `images.api.buildSecrets`",
  ]);
  expect(faultsOf({ images: { api: "ghcr.io/acme/api:latest" } })).toEqual([
    'images.api: "ghcr.io/acme/api:latest" is not an image by digest; write for example docker.io/library/node:24@sha256:…',
  ]);
});

test("the config knows the secrets that the Dockerfiles mount, all of them in the API's", () => {
  for (const image of Object.keys(buildArguments)) {
    const dockerfile = readFileSync(new URL(`../../images/${image}/Dockerfile`, import.meta.url), "utf8");
    const mounted = [...dockerfile.matchAll(/^[^#]*--mount=type=secret,id=(\w+)/gm)].map(([, id]) => id);
    expect(mounted, image).toEqual(image === "api" ? Object.keys(buildSecrets.shape) : []);
  }
  const { config } = parseConfig(asText({ ...required, images: { api: { buildSecrets: { npmrc: "hunter2" } } } }));
  expect(config?.images.api).toEqual({ buildArgs: {}, buildSecrets: { npmrc: "hunter2" } });
  expect(faultsOf({ images: { api: { buildSecrets: { npmrc: "" } } } })).toEqual([
    "images.api.buildSecrets.npmrc: is not text of 1 character or more",
  ]);
});

test("the config knows the build arguments that the Dockerfiles declare", () => {
  for (const [image, names] of Object.entries(buildArguments)) {
    const dockerfile = readFileSync(new URL(`../../images/${image}/Dockerfile`, import.meta.url), "utf8");
    const declared = [...dockerfile.matchAll(/^ARG (\w+)/gm)].map(([, name]) => name);
    expect([...new Set(declared)].sort(), image).toEqual([...names].sort());
  }
});

test("a kubeconfig is a text, in YAML or JSON, or another stack's output", () => {
  const clusterId = "3f1c9a52-7c1e-4d55-9a31-0d6f4b1f0a11";
  const of = (kubeconfig: unknown) =>
    parseConfig(asText({ ...required, context: "", clusterId, kubeconfig })).config?.kubeconfig;
  const yaml = "apiVersion: v1\nclusters: []\ncontexts: []\nusers: []\n";
  expect(of(yaml)).toBe(yaml);
  const json = JSON.stringify({ clusters: [], contexts: [], users: [] });
  expect(of(json)).toBe(json);
  expect(of({ stack: "acme/clusters/prod" })).toEqual({ stack: "acme/clusters/prod", output: "kubeconfig" });
});

test("text that looks like a number may be a context", () => {
  expect(parseConfig({ ...required, context: "123" }).config?.context).toBe("123");
});

test("the gateway is `inside` or a group of keys, and a fault in this group names the key", () => {
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
  // `gateway` is a text or a group of keys, but Pulumi allows only one type for a key.
  plain.splice(
    plain.findIndex(([key]) => key === "gateway"),
    1,
  );
  expect(Object.keys(project.config).sort()).toEqual(plain.map(([key]) => key).sort());
  for (const [key, value] of plain.filter(([key]) => !(key in required)))
    expect(project.config[key]).toMatchObject({ type: typeof value, default: value, description: expect.any(String) });
  expect(Object.keys(configSchema.shape)).toEqual(expect.arrayContaining(Object.keys(project.config)));
});

test("`storageClass` applies to every volume without a class of its own", () => {
  const { config } = parseConfig(
    asText({
      ...required,
      storageClass: "fast",
      postgres: { backup: { volume: { storageClass: "cheap" } } },
      tenants: [{ name: "acme" }, { name: "globex", workspace: { storageClass: "local" } }],
    }),
  );
  const { postgres, redis, prometheus, tenants } = config as Config;
  expect([postgres.volume, redis.volume, prometheus.volume].map(({ storageClass }) => storageClass)).toEqual([
    "fast",
    "fast",
    "fast",
  ]);
  expect(postgres.backup.volume.storageClass).toBe("cheap");
  expect(tenants.map(({ workspace }) => workspace.storageClass)).toEqual(["fast", "local"]);
});

test("a tenant without a class of its own has the PriorityClass of sessions", () => {
  const { config } = parseConfig(
    asText({
      ...required,
      priorityClasses: { sessions: { name: "batch", value: null } },
      tenants: [{ name: "acme" }, { name: "globex", priorityClassName: "high" }],
    }),
  );
  expect((config as Config).tenants.map(({ priorityClassName }) => priorityClassName)).toEqual(["batch", "high"]);
});

test("a fault of a value that is not JSON shows none of its text, which may be secret", () => {
  const faults = faultsOf({
    registryLogins: '[{"password": hunter2}]',
    tenants: '[{"webhooks": [{"secret": "hunter2]',
  });
  expect(faults).toEqual([
    "registryLogins: is not JSON, line 1, column 15",
    expect.stringContaining("tenants: is not JSON"),
  ]);
  expect(faults?.join()).not.toContain("hunter2");
});

test("a session is kept as long as its log, its deliveries and its idempotency key", () => {
  expect(faultsOf({ limits: { sessionRetention: "7d" } })).toEqual([
    'limits.sessionRetention: "7d" is below limits.deliveryRetention, 30d, but Berth deletes these data together with the session; raise sessionRetention',
  ]);
  expect(faultsOf({ limits: { sessionRetention: "7d", deliveryRetention: "7d" } })).toBeUndefined();
});
