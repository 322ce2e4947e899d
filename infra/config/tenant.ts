/** The schema of one entry under `tenants`. */
import { z } from "zod";
import { tenantEgress } from "./egress.ts";
import { tenantKeys } from "./keys.ts";
import { tenantPlacement } from "./placement.ts";
import { count, duration, lasting, quantity, secretText, subdomain, url, volume, wholeNumber } from "./scalars.ts";
import { sizeOf, tenantImages, warmPools } from "./tenant-images.ts";
import { uniqueNames } from "./unique-names.ts";
import { beyondQuota } from "./warm-quota.ts";

const quota = z.strictObject({
  requestsCpu: quantity.default("20").describe("The sum of the CPU requests of all sessions."),
  limitsCpu: quantity.default("40").describe("The sum of the CPU limits of all sessions."),
  requestsMemory: quantity.default("40Gi").describe("The sum of the memory requests of all sessions."),
  limitsMemory: quantity.default("80Gi").describe("The sum of the memory limits of all sessions."),
  pods: count
    .default(50)
    .describe("The maximum number of pods at the same time. Each session has one pod, and warm sessions count too."),
  storage: quantity.default("500Gi").describe("The sum of the sizes of all workspace volumes."),
  volumes: count
    .default(200)
    .describe(
      "How many workspace volumes may exist at the same time. Volumes of suspended sessions and volumes that are kept after a session's end count too.",
    ),
});

const workspace = volume("10Gi").extend({
  mode: z
    .enum(["persistent", "ephemeral"], { error: "is neither persistent nor ephemeral" })
    .default("persistent")
    .describe(
      "persistent: the workspace is a volume. ephemeral: the workspace is on the node's disk and is deleted with the pod.",
    ),
});

const webhook = z.strictObject({
  url: url.describe("The URL to which Berth sends events by POST. Add its address to the stack's `egress` too."),
  secret: secretText(16).describe(
    "The secret of 16 or more characters that signs the events (HMAC). Set it with `pulumi config set --secret --path 'tenants[0].webhooks[0].secret'`.",
  ),
});

/** The beginning of tenants' namespace names. A tenant's name has at most 40 characters, so a namespace's name has at most 63. */
export const tenantPrefix = z.string().regex(/^[a-z][-a-z0-9]{0,21}-$/, {
  error: "is not a prefix: 2 to 23 characters of a-z, 0-9 and -, the first a letter, the last a -",
});

/** The tenant's namespace. */
export const tenantNamespace = (config: { tenantPrefix: string }, tenant: { name: string }): string =>
  `${config.tenantPrefix}${tenant.name}`;

export const tenant = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/, {
        error: "is not a tenant name: 1 to 40 characters of a-z, 0-9 and -, the first a letter, the last not a -",
      })
      .refine((text) => text !== "admin", { error: "is reserved for the administrators' keys; use another name" })
      .describe("The tenant's name. The tenant's namespace is `tenantPrefix` and the name."),
    remove: z
      .boolean()
      .default(false)
      .describe(
        "The first of two steps that remove a tenant. True: the tenant's API keys stop working, its sessions end, and their workspaces are deleted. The second step is to remove this entry; Berth refuses the second step without the first.",
      ),
    keys: tenantKeys.describe(
      "The tenant's API keys, `berth_<tenant>_…`. The output `tenantKeys` contains the generated keys.",
    ),
    quota: quota.prefault({}).describe("The most that all sessions of the tenant may use together."),
    maxSessions: count
      .nullable()
      .default(null)
      .describe("Sessions that may run at the same time; more sessions wait. Null: as many as `quota.pods`."),
    priority: wholeNumber
      .min(0, { error: "is below 0" })
      .max(100, { error: "is above 100" })
      .default(50)
      .describe(
        "The tenant's priority, 0 to 100. In each turn of the queue, each tenant starts at most one session; within a turn, the session of the tenant with the higher priority starts first.",
      ),
    idleTimeout: lasting
      .nullable()
      .default(null)
      .describe(
        "A session ends after this time without activity, for example 30m. Null: no session ends because of inactivity.",
      ),
    commandIsActivity: z
      .boolean()
      .default(true)
      .describe(
        "Whether a session counts as active while its task's command runs. False: the session can end as idle while the command runs.",
      ),
    maxLifetime: lasting
      .nullable()
      .default(null)
      .describe(
        "A session ends when it has run for this time, for example 8h. Null: a session may run without a time limit.",
      ),
    retention: duration
      .default("0s")
      .describe(
        "How long a workspace is kept after the end of its session, for example 7d. 0s: the workspace is deleted when the session ends.",
      ),
    workspace: workspace.prefault({}).describe("Each session's workspace, at /home/agent/workspace."),
    warmPools: warmPools
      .prefault({})
      .describe(
        "Warm sessions: Berth starts them before a user asks for one. They count against the quota. See docs/sessions.md.",
      ),
    images: tenantImages
      .default([])
      .describe("Images that the tenant's sessions may ask for by name, in addition to the platform's desktop image."),
    exec: z
      .boolean()
      .default(false)
      .describe(
        "Whether users may run commands in the tenant's sessions over the WebSocket `exec`. Commands over HTTP are always allowed.",
      ),
    onDrain: z
      .enum(["end", "resume"], { error: "is neither end nor resume" })
      .default("end")
      .describe(
        "What happens to a session when its node is drained. end: the session ends. resume: the session continues on another node with the same workspace.",
      ),
    webhooks: z.array(webhook).default([]).describe("Webhooks that receive the tenant's events."),
    agentConfig: z
      .strictObject({
        modelEndpoint: url
          .optional()
          .describe(
            "The URL of the agents' model. Agents get the URL as the environment variable `MODEL_ENDPOINT`. Add the model's address to `egress` too.",
          ),
      })
      .prefault({})
      .describe("Settings that agents get as environment variables."),
    egress: tenantEgress
      .default([])
      .describe(
        "What sessions may reach in addition to DNS and Berth's API. A session can never reach another session.",
      ),
    placement: tenantPlacement
      .prefault({})
      .describe("The nodes of the tenant's sessions. Each key replaces the same key of `placement.sessions`."),
    runtimeClassName: subdomain
      .nullable()
      .default(null)
      .describe("The RuntimeClass of the session pods, for example gvisor. Null: the cluster's default."),
    priorityClassName: subdomain
      .nullable()
      .default(null)
      .describe(
        "The PriorityClass of the session pods. Null: `priorityClasses.sessions.name`, with which a session waits for free resources and preempts no other pod.",
      ),
  })
  .check(fitsIntoQuota);

/** Refuses limits and warm pools that are larger than the tenant's quota, because such sessions could never run. */
function fitsIntoQuota(check: z.core.ParsePayload<TenantConfig>): void {
  const { quota, maxSessions, warmPools, images } = check.value;
  const fault = (path: string[], input: unknown, message: string) =>
    check.issues.push({ code: "custom", input, path, message });
  if (maxSessions !== null && maxSessions > quota.pods)
    fault(["maxSessions"], maxSessions, `is above quota.pods, which is ${quota.pods}`);
  const warm = [warmPools, ...images.map((image) => image.warmPools)].reduce((sum, pools) => sum + sizeOf(pools), 0);
  const [limit, most] =
    maxSessions !== null && maxSessions < quota.pods ? ["maxSessions", maxSessions] : ["quota.pods", quota.pods];
  if (warm > 0 && warm > most) {
    const all = images.length > 0 ? " with those of the images" : "";
    fault(["warmPools"], warmPools, `has ${warm} sessions in total${all}, above ${limit}, which is ${most}`);
    return;
  }
  const over = beyondQuota(check.value);
  if (over.length > 0)
    fault(
      ["warmPools"],
      warmPools,
      `has sessions${images.length > 0 ? ", with those of the images," : ""} that need more than the quota: ${over.join(", ")}; make the pools smaller, or raise the quota`,
    );
}

/** All tenants. Two tenants can't have the same name. */
export const tenants = z.array(tenant).check(uniqueNames((index) => `tenants[${index}]`));

export type TenantConfig = z.output<typeof tenant>;
