/** The program: config → components → outputs. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { connectionsPerPod } from "./config/connections.ts";
import { secondsOf } from "./config/duration.ts";
import { stackConfig } from "./config/stack.ts";
import { baseImages, dockerProvider } from "./images/base-images.ts";
import { Images } from "./images/images.ts";
import { ImagePuller } from "./images/puller.ts";
import { Ingress } from "./ingress/ingress.ts";
import { apiEndpoints } from "./kubernetes/api-endpoints.ts";
import { Generations } from "./kubernetes/generations.ts";
import { stackLabels } from "./kubernetes/labels.ts";
import type { PlatformContext } from "./kubernetes/platform-context.ts";
import { makeMonitoring } from "./monitoring/monitoring.ts";
import { refuseConflicts } from "./platform/conflicts.ts";
import { Platform } from "./platform/platform.ts";
import { podDefaults } from "./platform/pods.ts";
import { PriorityClasses } from "./platform/priority-classes.ts";
import { Api } from "./runtime/api.ts";
import { Cleanup } from "./runtime/cleanup.ts";
import { Gateway } from "./runtime/gateway.ts";
import { Migrations } from "./runtime/migrations.ts";
import { Settings } from "./runtime/settings.ts";
import { Worker } from "./runtime/worker.ts";
import { makeStores } from "./stores/stores.ts";
import { Admin } from "./tenants/admin.ts";
import { refuseVanished } from "./tenants/removal.ts";
import { makeTenants } from "./tenants/tenants.ts";

const config = stackConfig();
await refuseVanished(config.tenants);
await refuseConflicts(config);

const provider = {
  context: config.context,
  // The cluster is told by its context, so a kubeconfig that is written anew replaces nothing.
  clusterIdentifier: config.context,
  // Where a change of content must roll pods, the object's name changes with it; the others are updated in place.
  enableConfigMapMutable: true,
  enableSecretMutable: true,
};
const kubernetes = new k8s.Provider("kubernetes", { ...provider, upsertExistingObjects: config.adoptExisting });
const generations = new Generations(provider);
const docker = dockerProvider(config.baseRegistry, config.registryLogins);
const providers = { providers: [kubernetes, docker] };
const kubernetesApi = config.kubernetesApi ?? apiEndpoints(kubernetes);

const base = await baseImages(config.baseRegistry, docker);
const images = new Images("images", { ...config, base }, providers);

const platform = new Platform("platform", { ...config, kubernetesApi }, providers);
const { namespace } = platform;
const priorities = new PriorityClasses("priorities", providers);
/** What all that runs in the platform's namespace is made with. */
const context: PlatformContext = {
  namespace,
  generations,
  pods: podDefaults(config),
  rolloutSeconds: secondsOf(config.rolloutTimeout) ?? 300,
};
/** For what runs in the platform's namespace. @param dependencies what it needs beside the namespace itself */
const inPlatform = (...dependencies: pulumi.Resource[]) => ({
  ...providers,
  dependsOn: [platform, priorities, ...dependencies],
});
const { postgres, redis } = makeStores({ ...config, platform: context, base }, inPlatform());

const tenants = makeTenants(
  config.tenants,
  { ...config, platformNamespace: namespace, kubernetesApi },
  { ...providers, dependsOn: [priorities] },
);
const admin = new Admin("admin", { keys: config.adminKeys, namespace }, providers);

const settings = new Settings(
  "settings",
  {
    ...config,
    platform: context,
    postgres: postgres.connection,
    redis: redis.connection,
    postgresPool: connectionsPerPod(config),
    agentImage: images.agent,
    berthdImage: images.berthd,
    adminKeys: admin.entries,
    tenants: tenants.entries,
    closedTenants: tenants.closed,
  },
  inPlatform(),
);

const runtime = { platform: context, image: images.api, settings: settings.runtime };
const migrations = new Migrations("migrate", runtime, inPlatform(...postgres.ready));
const { autoscaler, gateway, sandboxUrl } = config;
const separate =
  gateway === "inside"
    ? []
    : [
        new Gateway(
          "gateway",
          { ...runtime, ...gateway, autoscaler, sandboxUrl },
          inPlatform(migrations, ...redis.ready),
        ),
      ];
const api = new Api(
  "api",
  { ...runtime, ...config.api, autoscaler, gateway, sandboxUrl },
  inPlatform(migrations, ...redis.ready, ...separate),
);
// After the tenants: their Roles are what the worker works with.
new Worker(
  "worker",
  { ...runtime, ...config.worker, autoscaler },
  inPlatform(migrations, ...redis.ready, ...tenants.all),
);
new Cleanup("cleanup", runtime, inPlatform(migrations, ...redis.ready));
if (config.prepullAgentImage) new ImagePuller("image-puller", { platform: context, image: images.agent }, inPlatform());
if (config.ingress) {
  new Ingress("api", { ...config.ingress, namespace, publicUrl: config.publicUrl, sandboxUrl }, inPlatform(api));
}

const stores = { postgres: postgres.connection, redis: redis.connection };
makeMonitoring({ ...config, platform: context, base, stores }, inPlatform());

generations.collect(config.context, namespace, stackLabels());

/** Where the API is reached. */
export const apiUrl = config.publicUrl;
/** The API keys that were generated, by tenant and by the key's name. */
export const tenantKeys = pulumi.secret(tenants.keys);
/** The admin's key: the first of `adminKeys` that was generated. */
export const adminKey = pulumi.secret(admin.key);
/** Each tenant's namespace. */
export const tenantNamespaces = tenants.namespaces;
/** The images that run, by digest. */
export const apiImage = images.api;
export const agentImage = images.agent;
export const berthdImage = images.berthd;
