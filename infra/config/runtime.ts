/** What API and worker are told beyond their stores and tenants. */
import { z } from "zod";
import { cidr, duration, name, port, url, wholeNumber } from "./scalars.ts";

const atLeastOne = wholeNumber.min(1, { error: "is below 1" });

export const limits = z.strictObject({
  ratePerMinute: atLeastOne.default(600).describe("Requests that one API key may make per minute."),
  backlog: atLeastOne
    .default(200)
    .describe("Sessions of one tenant that may wait in the queue; beyond it creates are refused."),
  starting: atLeastOne.default(10).describe("Sessions that may be starting at the same time, of all tenants."),
  startTimeout: duration
    .default("5m")
    .describe("How long a session's pod may take from its creation to a live desktop before the session fails."),
  logRetention: duration
    .default("7d")
    .describe("How long the last 64 KiB of an agent's log are kept after its session's end; 0s for not at all."),
});

export const oidc = z
  .strictObject({
    issuer: url.describe("Issuer whose tokens are taken beside API keys. Its address must be in `egress` too."),
    audience: z.string().min(1, { error: "is empty" }).describe("Audience that the tokens must name."),
    tenantClaim: z
      .string()
      .min(1, { error: "is empty" })
      .default("tenant")
      .describe("Claim of the tokens that names the tenant."),
  })
  .nullable();

export const tracing = z
  .strictObject({
    endpoint: url.describe(
      "Where traces are sent by OTLP over HTTP, for example http://collector.observability:4318. Its address must be in `egress` too.",
    ),
  })
  .nullable();

export const egress = z.array(
  z.strictObject({
    cidr: cidr.describe("An address range, for example 203.0.113.0/24 or the range of the cluster's own pods."),
    ports: z.array(port).min(1, { error: "is empty; name at least one port" }).default([443]).describe("TCP ports."),
  }),
);

export const trustedProxies = z
  .array(cidr)
  .describe("Networks of the proxies before the API whose X-Forwarded-For is believed, for audit trails.");

export const webhooksToPrivateAddresses = z
  .boolean()
  .describe("Whether tenants' webhooks may go to private addresses and by plain http.");

export const trustedCertificates = z
  .string()
  .regex(/^$|-----BEGIN CERTIFICATE-----/, { error: "is not a certificate in PEM form" })
  .describe(
    "Certificates (PEM) of private authorities that API and worker trust beside the public ones: for external stores, the OIDC issuer, webhooks.",
  );

export const tokenKeySecret = name
  .nullable()
  .describe(
    "Name of a Secret in the namespace berth with the key `token-key` (32 characters or more), from which sessions' tokens are made, and `token-key-2` and so on for further ones of `tokenKeys`; null to generate them.",
  );

/** How many keys there may be at the same time. */
const mostTokenKeys = 8;

export const tokenKeys = z
  .strictObject({
    current: atLeastOne
      .max(9_998, { error: "is above 9998" })
      .default(1)
      .describe("Number of the key that signs. Raise it by one to rotate."),
    oldest: atLeastOne
      .default(1)
      .describe(
        "Number of the oldest key whose tokens are taken. Raise it when no session has tokens from the keys before.",
      ),
  })
  .refine(({ current, oldest }) => oldest <= current, { path: ["oldest"], error: "is above `current`" })
  .refine(({ current, oldest }) => current - oldest < mostTokenKeys, {
    path: ["oldest"],
    error: `is so far below \`current\` that there are more than ${mostTokenKeys} keys; raise it`,
  });

export type TokenKeysConfig = z.output<typeof tokenKeys>;
export type LimitsConfig = z.output<typeof limits>;
export type OidcConfig = z.output<typeof oidc>;
export type TracingConfig = z.output<typeof tracing>;
export type EgressConfig = z.output<typeof egress>;
