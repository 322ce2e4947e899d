/** The Pulumi program: it reads the config, makes the components, and exports the outputs. */
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { connectionsPerPod } from "./config/connections.ts";
import { secondsOf } from "./config/duration.ts";
import { placements } from "./config/placement.ts";
import { stackConfig } from "./config/stack.ts";
import { baseImages, dockerProvider } from "./images/base-images/base-images.ts";
import { Images } from "./images/images.ts";
import { ImagePuller } from "./images/puller.ts";
import { Ingress } from "./ingress/ingress.ts";
import { clusterAccess, providerOf, refuseOtherCluster } from "./kubernetes/access.ts";
import { withFormerName } from "./kubernetes/former-names.ts";
import { Generations } from "./kubernetes/generations.ts";
import { stackLabels } from "./kubernetes/labels.ts";
import type { PlatformContext } from "./kubernetes/platform-context.ts";
import { ScannedImages } from "./kubernetes/scanned-images.ts";
import { endWithoutReader } from "./kubernetes/without-engine.ts";
import { makeMonitoring } from "./monitoring/monitoring.ts";
import { refuseConflicts } from "./platform/conflicts.ts";
import { Platform } from "./platform/platform.ts";
import { podDefaults } from "./platform/pods.ts";
import { PriorityClasses } from "./platform/priority-classes.ts";
import { Api } from "./runtime/api.ts";
import { Cleanup } from "./runtime/cleanup.ts";
import { Gateway } from "./runtime/gateway.ts";
import { Migrations } from "./runtime/migrations.ts";
import { SessionAdmission } from "./runtime/session-admission.ts";
import { Settings } from "./runtime/settings.ts";
import { Worker } from "./runtime/worker.ts";
import { makeStores } from "./stores/stores.ts";
import { Admin } from "./tenants/admin.ts";
import { refuseTooMany } from "./tenants/capacity.ts";
import { refuseVanished } from "./tenants/removal.ts";
import { makeTenants } from "./tenants/tenants.ts";

endWithoutReader();
// Pulumi's formatter of stack traces looks for source maps, which took a sixth of this program's processor time. Node needs no
// source maps, because the positions stay the same when Node removes the types.
Reflect.deleteProperty(Error, "prepareStackTrace");

const config = stackConfig();
refuseTooMany(config);
await refuseVanished(config.tenants);
const access = await clusterAccess(config);
await refuseOtherCluster(access, config);
await refuseConflicts(access, config);

// `withFormerName` must be registered before the program makes a resource that has a former name.
pulumi.runtime.registerStackTransformation(withFormerName);

const { args, options } = providerOf(access, config);
const provider = {
  ...args,
  // ConfigMaps and Secrets are updated in place. If a change must restart pods, the object's name depends on its content.
  enableConfigMapMutable: true,
  enableSecretMutable: true,
};
const adopting = { ...provider, upsertExistingObjects: config.adoptExisting };
const kubernetes = new k8s.Provider("kubernetes", adopting, options);
const generations = new Generations(provider, options);
const docker = dockerProvider(config);
const providers = { providers: docker ? [kubernetes, docker] : [kubernetes] };

const base = await baseImages(config.baseRegistry, docker);
const images = new Images("images", { ...config, base }, providers);

const platform = new Platform("platform", config, providers);
const { namespace } = platform;
const priorities = new PriorityClasses("priorities", config.priorityClasses, providers);
const scannedImages = new ScannedImages();
/** Settings for the components in the platform's namespace. Components with a volume get `storesContext`. */
const context: PlatformContext = {
  namespace,
  generations,
  pods: podDefaults(config, scannedImages),
  rolloutSeconds: secondsOf(config.rolloutTimeout) ?? 300,
};
/** Like `context`, but the pods run on the nodes that `placement.stores` selects. Components with a volume get this context. */
const storesContext: PlatformContext = { ...context, pods: podDefaults(config, scannedImages, "stores") };
/** Options for a component in the platform's namespace. @param dependencies more resources that must exist first */
const inPlatform = (...dependencies: pulumi.Resource[]) => ({
  ...providers,
  dependsOn: [platform, priorities, ...dependencies],
});
const pullers = {
  berthd: images.berthd,
  requestScale: config.requestScale,
  rolloutSeconds: context.rolloutSeconds,
  priorityClassName: config.priorityClasses.imagePullers.name,
  scannedImages,
};
const { postgres, redis } = makeStores({ ...config, platform: storesContext, base }, inPlatform());

const tenants = makeTenants(
  config.tenants,
  { ...config, platformNamespace: namespace, agentImage: images.agent, pullers },
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
const migrationSeconds = secondsOf(config.migrationTimeout ?? config.rolloutTimeout) ?? 300;
const migrations = new Migrations("migrate", { ...runtime, migrationSeconds }, inPlatform(...postgres.ready));
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
const admission = new SessionAdmission("session-admission", { ...config, namespace }, providers);
// The worker depends on the tenants, because it needs the Roles in their namespaces.
new Worker(
  "worker",
  { ...runtime, ...config.worker, autoscaler },
  inPlatform(migrations, admission, ...redis.ready, ...tenants.all),
);
new Cleanup("cleanup", runtime, inPlatform(migrations, ...redis.ready));
if (config.prepullAgentImage) {
  const pullSecrets = context.pods.imagePullSecrets;
  const placement = placements(config).sessions;
  new ImagePuller(
    "image-puller",
    { ...pullers, namespace, images: [images.agent], pullSecrets, placement },
    inPlatform(),
  );
}
if (config.ingress) {
  const { ingress, publicUrl } = config;
  new Ingress("api", { config: ingress, namespace, service: api.gateway, publicUrl, sandboxUrl }, inPlatform(api));
}

const stores = { postgres: postgres.connection, redis: redis.connection };
makeMonitoring({ ...config, platform: context, storesContext, base, stores }, inPlatform());

generations.collect(access, namespace, stackLabels());

/** The address of the API. */
export const apiUrl = config.publicUrl;
/** The generated API keys, by tenant and by the key's name. */
export const tenantKeys = pulumi.secret(tenants.keys);
/** The admin's API key: the first generated key of `adminKeys`. */
export const adminKey = pulumi.secret(admin.key);
/** Each tenant's namespace. */
export const tenantNamespaces = tenants.namespaces;
/** Berth's own images, by digest. */
export const apiImage = images.api;
export const agentImage = images.agent;
export const berthdImage = images.berthd;
/** All other images that pods of the platform run or that tenants' sessions may ask for, by digest. */
export const otherImages = scannedImages.others(
  [apiImage, agentImage, berthdImage],
  config.tenants.flatMap((tenant) => tenant.images.map(({ image }) => image)),
);
