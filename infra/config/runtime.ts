/** Config keys of the API, the gateway and the worker, without the keys for their pods, their stores and the tenants. */
import { z } from "zod";
import { secondsOf } from "./duration.ts";
import { cidr, count, duration, subdomain, url, wholeNumber } from "./scalars.ts";

const atLeastOne = wholeNumber.min(1, { error: "is below 1" });

const atLeastDays = (days: number) =>
  duration.refine((text) => (secondsOf(text) ?? 0) >= days * 86_400, { error: `is below ${days}d` });

/**
 * Refuses a config by which a session would be deleted before its log, its failed webhook deliveries or its idempotency key.
 */
function keptWithSession({ value, issues }: z.core.ParsePayload<Record<string, unknown>>): void {
  const seconds = (key: string) => secondsOf(String(value[key])) ?? 0;
  for (const key of ["logRetention", "deliveryRetention", "idempotencyRetention"])
    if (seconds("sessionRetention") < seconds(key))
      issues.push({
        code: "custom",
        input: value.sessionRetention,
        path: ["sessionRetention"],
        message: `is below limits.${key}, ${value[key]}, but Berth deletes these data together with the session; raise sessionRetention`,
      });
}

export const limits = z
  .strictObject({
    ratePerMinute: atLeastOne.default(600).describe("Requests that one API key may make per minute."),
    backlog: atLeastOne
      .default(200)
      .describe(
        "How many sessions of one tenant may wait in the queue. While this many wait, the API refuses to queue another session of the tenant.",
      ),
    starting: atLeastOne
      .default(10)
      .describe(
        "Sessions of all tenants together that may start at the same time. While starts succeed quickly, this number rises up to `startingPerNode` for each node; while the Kubernetes API server is overloaded, it falls.",
      ),
    startingPerNode: count
      .default(3)
      .describe(
        "The highest number of simultaneous starts is this number multiplied by the number of nodes that have the agent image, but at least `starting`. 0: never more than `starting`. Without `prepullAgentImage` Berth does not know the nodes, and `starting` stays the highest number.",
      ),
    startTimeout: duration
      .default("5m")
      .describe(
        "The time from the creation of a session's pod to its ready desktop. If the pod takes longer, the session fails.",
      ),
    deadNodeTimeout: duration
      .default("5m")
      .describe(
        "How long after its grace period a pod may take to end. Then its node counts as dead, and Berth removes the pod from the Kubernetes API by force, so that the session ends or resumes on another node. If the node only lost its network, the containers may still run there. 0s: Berth waits until the node answers or is removed from the cluster.",
      ),
    logRetention: duration
      .default("7d")
      .describe(
        "How long Berth keeps the last 64 KiB of an agent's log after the end of the session. 0s: Berth keeps no log.",
      ),
    sessionRetention: atLeastDays(2)
      .default("90d")
      .describe(
        "How long a session and its events are kept after the session's end. A session whose workspace still exists is kept for longer. The usage of deleted sessions is never deleted.",
      ),
    eventRetention: atLeastDays(2)
      .default("90d")
      .describe(
        "How long progress reports and the events about what users do in a session (commands, processes, files, desktops, tickets, logs, ports) are kept. They are deleted after this time even if the session still runs, and with their session at the latest.",
      ),
    deliveryRetention: atLeastDays(2)
      .default("30d")
      .describe("How long after its creation a webhook delivery is kept if all attempts to send it have failed."),
    idempotencyRetention: atLeastDays(1)
      .default("7d")
      .describe(
        "How long after its creation a session is found again by its Idempotency-Key. After that, the key makes a new session.",
      ),
  })
  .check(keptWithSession);

export const oidc = z
  .strictObject({
    issuer: url.describe("The issuer whose tokens the API accepts. Add the issuer's address to `egress` too."),
    audience: z.string().min(1, { error: "is empty" }).describe("The audience that the tokens must contain."),
    tenantClaim: z
      .string()
      .min(1, { error: "is empty" })
      .default("tenant")
      .describe("The claim of the tokens that contains the tenant's name."),
  })
  .nullable();

export const tracing = z
  .strictObject({
    endpoint: url.describe(
      "The collector that receives traces by OTLP over HTTP, for example http://collector.observability:4318. Add the collector's address to `egress` too.",
    ),
  })
  .nullable();

export const trustedProxies = z
  .array(cidr)
  .describe(
    "Networks of the proxies in front of the API. For audit trails, the API trusts the header X-Forwarded-For only from these networks.",
  );

export const webhooksToPrivateAddresses = z
  .boolean()
  .describe("Whether webhooks of tenants may use private addresses and plain http.");

export const trustedCertificates = z
  .string()
  .regex(/^$|-----BEGIN CERTIFICATE-----/, { error: "is not a certificate in PEM form" })
  .describe(
    "Certificates (PEM) of private certificate authorities that the API, the gateway, the worker, the runtime's Jobs and the exporters trust in addition to public ones, for external stores, the OIDC issuer and webhooks.",
  );

export const tokenKeySecret = subdomain
  .nullable()
  .describe(
    "The name of a Secret in the platform's namespace with the key `token-key` (32 characters or more), which signs the sessions' tokens. For more keys of `tokenKeys`, the Secret also has `token-key-2` and so on. Null: Berth generates the keys.",
  );

/** The highest number of token keys from `oldest` to `current`. */
const mostTokenKeys = 8;

export const tokenKeys = z
  .strictObject({
    current: atLeastOne
      .max(9_998, { error: "is above 9998" })
      .default(1)
      .describe("The number of the key that signs new tokens. To rotate the key, raise the number by one."),
    oldest: atLeastOne
      .default(1)
      .describe(
        "The number of the oldest key whose tokens are accepted. Raise the number when no session uses tokens of older keys.",
      ),
  })
  .refine(({ current, oldest }) => oldest <= current, { path: ["oldest"], error: "is above `current`" })
  .refine(({ current, oldest }) => current - oldest < mostTokenKeys, {
    path: ["oldest"],
    error: `is too low, because from \`oldest\` to \`current\` there may be at most ${mostTokenKeys} keys; raise it`,
  });

export type TokenKeysConfig = z.output<typeof tokenKeys>;
export type LimitsConfig = z.output<typeof limits>;
export type OidcConfig = z.output<typeof oidc>;
export type TracingConfig = z.output<typeof tracing>;
