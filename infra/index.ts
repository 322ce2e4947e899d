/** The program: config → components → outputs. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Api } from "./api.ts";
import { baseImages, dockerProvider } from "./base-images.ts";
import { Cleanup } from "./cleanup.ts";
import { ImagePuller } from "./image-puller.ts";
import { Images } from "./images.ts";
import { Ingress } from "./ingress.ts";
import { apiEndpoints } from "./kubernetes/api-endpoints.ts";
import { Migrations } from "./migrations.ts";
import { Platform } from "./platform.ts";
import { platformPods } from "./platform-pods.ts";
import { PriorityClasses } from "./priority-classes.ts";
import { pullSecretNames } from "./registry-login.ts";
import { Settings } from "./settings.ts";
import { stackConfig } from "./stack-config.ts";
import { makeStores } from "./stores.ts";
import { Tenant } from "./tenant.ts";
import { Worker } from "./worker.ts";

const config = stackConfig();

const kubernetes = new k8s.Provider("kubernetes", {
  context: config.context,
  // The cluster is told by its context, so a kubeconfig that is written anew replaces nothing.
  clusterIdentifier: config.context,
  upsertExistingObjects: config.adoptExisting,
  // Where a change of content must roll pods, the object's name changes with it; the others are updated in place.
  enableConfigMapMutable: true,
  enableSecretMutable: true,
});
const docker = dockerProvider(config.baseRegistry, config.registryLogins);
const providers = { providers: [kubernetes, docker] };
const kubernetesApi = config.kubernetesApi ?? apiEndpoints(kubernetes);

const base = await baseImages(config.baseRegistry, docker);
const images = new Images("images", { ...config, base }, providers);

const platform = new Platform("platform", { ...config, kubernetesApi }, providers);
const { namespace } = platform;
const priorities = new PriorityClasses("priorities", providers);
const imagePullSecrets = pullSecretNames(config);
const transformations = [platformPods({ requestScale: config.requestScale, imagePullSecrets })];
/** For what runs in the platform's namespace. @param dependencies what it needs beside the namespace itself */
const inPlatform = (...dependencies: pulumi.Resource[]) => ({
  ...providers,
  transformations,
  dependsOn: [platform, priorities, ...dependencies],
});
const { postgres, redis } = makeStores({ namespace, base, ...config }, inPlatform());

const tenants = config.tenants.map(
  (tenant) => new Tenant(`tenant-${tenant.name}`, { tenant, platformNamespace: namespace, kubernetesApi }, providers),
);

const settings = new Settings(
  "settings",
  {
    ...config,
    namespace,
    postgres: postgres.connection,
    redis: redis.connection,
    agentImage: images.agent,
    tenants: tenants.map(({ entry }) => entry),
  },
  inPlatform(),
);

const runtime = { namespace, image: images.api, settings: settings.runtime };
const migrations = new Migrations("migrate", runtime, inPlatform(...postgres.ready));
new Api("api", { ...runtime, ...config.api }, inPlatform(migrations, ...redis.ready));
// After the tenants: their Roles are what the worker works with.
new Worker("worker", { ...runtime, ...config.worker }, inPlatform(migrations, ...redis.ready, ...tenants));
new Cleanup("cleanup", runtime, inPlatform(migrations, ...redis.ready));
if (config.prepullAgentImage) new ImagePuller("image-puller", { namespace, image: images.agent }, inPlatform());
if (config.ingress) new Ingress("api", { ...config.ingress, namespace, publicUrl: config.publicUrl }, inPlatform());

/** Where the API is reached. */
export const apiUrl = config.publicUrl;
/** Each tenant's API key. */
export const tenantKeys = pulumi.secret(
  Object.fromEntries(tenants.map(({ key }, index) => [config.tenants[index]?.name, key])),
);
/** Each tenant's namespace. */
export const tenantNamespaces = Object.fromEntries(
  tenants.map(({ namespace }, index) => [config.tenants[index]?.name, namespace]),
);
/** The images that run, by digest. */
export const apiImage = images.api;
export const agentImage = images.agent;
