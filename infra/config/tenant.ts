/** One entry under `tenants`. */
import { z } from "zod";
import { internalRangeOf, isCidr } from "./cidr.ts";
import { tenantKeys } from "./keys.ts";
import {
  cidr,
  count,
  duration,
  lasting,
  name,
  port,
  quantity,
  secretText,
  url,
  volume,
  wholeNumber,
} from "./scalars.ts";
import { sizeOf, tenantImages, warmPools } from "./tenant-images.ts";

/** The PriorityClass that the stack makes for sessions. */
export const sessionPriority = "berth-session";

const egressRule = z.strictObject({
  cidr: cidr
    .check((check) => {
      const internal = isCidr(check.value) && internalRangeOf(check.value);
      if (!internal) return;
      const message = `lies in ${internal}, which sessions never reach by address`;
      check.issues.push({ code: "custom", input: check.value, message });
    })
    .describe("Addresses that sessions may reach. Private, link-local and metadata ranges inside it stay closed."),
  ports: z.array(port).min(1, { error: "is empty; name at least one port" }).default([443]).describe("TCP ports."),
});

const quota = z.strictObject({
  requestsCpu: quantity.default("20").describe("Sum of all sessions' CPU requests."),
  limitsCpu: quantity.default("40").describe("Sum of all sessions' CPU limits."),
  requestsMemory: quantity.default("40Gi").describe("Sum of all sessions' memory requests."),
  limitsMemory: quantity.default("80Gi").describe("Sum of all sessions' memory limits."),
  pods: count.default(50).describe("Pods at one time; one per session, warm ones included."),
  storage: quantity.default("500Gi").describe("Sum of all workspace volumes."),
  volumes: count
    .default(200)
    .describe("Workspace volumes at one time, those of suspended sessions and kept ones included."),
});

const workspace = volume("10Gi").extend({
  mode: z
    .enum(["persistent", "ephemeral"], { error: "is neither persistent nor ephemeral" })
    .default("persistent")
    .describe("persistent: a volume of its own. ephemeral: room on the node, which goes with the pod."),
});

const webhook = z.strictObject({
  url: url.describe("Where events are sent by POST; its address must be in the stack's `egress`."),
  secret: secretText(16).describe(
    "Signs what is sent (HMAC), 16 characters or more: `pulumi config set --secret --path 'tenants[0].webhooks[0].secret'`.",
  ),
});

export const tenant = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$/, {
        error: "is not a tenant name: 1 to 40 of a-z, 0-9 and -, first a letter, last not a -",
      })
      .refine((text) => text !== "admin", { error: "is kept for the admin's keys; take another name" })
      .describe("The tenant's name; its namespace is `tenant-<name>`."),
    remove: z
      .boolean()
      .default(false)
      .describe(
        "The first step of a tenant's removal: true closes its keys and ends its sessions, whose workspaces go with them. The second: take the entry out. Without the first the second is refused.",
      ),
    keys: tenantKeys.describe("API keys: `berth_<tenant>_…`. Generated ones are in the output `tenantKeys`."),
    quota: quota.prefault({}).describe("What all sessions of the tenant may use together."),
    maxSessions: count
      .nullable()
      .default(null)
      .describe("Sessions that may be up at one time; more of them wait. null for as many as `quota.pods`."),
    priority: wholeNumber
      .min(0, { error: "is below 0" })
      .max(100, { error: "is above 100" })
      .default(50)
      .describe("0 to 100; higher goes first among tenants who have equally many sessions up."),
    idleTimeout: lasting
      .nullable()
      .default(null)
      .describe("A session without activity for so long ends, for example 30m; null for never."),
    commandIsActivity: z
      .boolean()
      .default(true)
      .describe("Whether a session is active as long as its task's command runs; false: it ends as idle all the same."),
    maxLifetime: lasting
      .nullable()
      .default(null)
      .describe("A session that is up for so long ends, for example 8h; null for never."),
    retention: duration
      .default("0s")
      .describe("How long a workspace is kept after the end of its session, for example 7d; 0s for not at all."),
    workspace: workspace.prefault({}).describe("Each session's workspace, at /home/agent/workspace."),
    warmPools: warmPools
      .prefault({})
      .describe(
        "Sessions that are made ahead and wait for an owner; they count against the quota. See docs/sessions.md.",
      ),
    images: tenantImages
      .default([])
      .describe("Images that the tenant's sessions may ask for by name, beside the platform's desktop."),
    exec: z
      .boolean()
      .default(false)
      .describe(
        "Whether commands may be run in the tenant's sessions by the WebSocket `exec`. Commands by HTTP need no switch.",
      ),
    onDrain: z
      .enum(["end", "resume"], { error: "is neither end nor resume" })
      .default("end")
      .describe("What a session does when its node is drained: end, or go on elsewhere with the same workspace."),
    webhooks: z.array(webhook).default([]).describe("Where the tenant's events are sent."),
    agentConfig: z
      .strictObject({
        modelEndpoint: url
          .optional()
          .describe("Where the agents find their model, as `MODEL_ENDPOINT`; its address must be in `egress` too."),
      })
      .prefault({})
      .describe("What the agents are told."),
    egress: z
      .array(egressRule)
      .default([])
      .describe("What sessions may reach beyond DNS and Berth's own API. Other sessions never."),
    runtimeClassName: name
      .nullable()
      .default(null)
      .describe("RuntimeClass of the session pods, for example gvisor; null for the cluster's own."),
    priorityClassName: name
      .default(sessionPriority)
      .describe("PriorityClass of the session pods. Berth's own waits for room and pushes nobody out."),
  })
  .check(fitsIntoQuota);

/** What never could be up is a mistake. */
function fitsIntoQuota(check: z.core.ParsePayload<TenantConfig>): void {
  const { quota, maxSessions, warmPools, images } = check.value;
  const fault = (path: string[], input: unknown, message: string) =>
    check.issues.push({ code: "custom", input, path, message });
  if (maxSessions !== null && maxSessions > quota.pods)
    fault(["maxSessions"], maxSessions, `is above quota.pods, which is ${quota.pods}`);
  const warm = [warmPools, ...images.map((image) => image.warmPools)].reduce((sum, pools) => sum + sizeOf(pools), 0);
  if (warm > 0 && warm > quota.pods) {
    const all = images.length > 0 ? " with those of its images" : "";
    fault(["warmPools"], warmPools, `is ${warm} in sum${all}, above quota.pods, which is ${quota.pods}`);
  }
}

/** All tenants; no name twice. */
export const tenants = z.array(tenant).check((check) => {
  const names = check.value.map((one) => one?.name);
  names.forEach((one, index) => {
    const first = names.indexOf(one);
    if (one === undefined || first === index) return;
    const message = `is the name of tenants[${first}] already`;
    check.issues.push({ code: "custom", input: one, path: [index, "name"], message });
  });
});

export type TenantConfig = z.output<typeof tenant>;
