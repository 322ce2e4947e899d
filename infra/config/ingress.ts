/** How users reach the API from outside the cluster. */
import { z } from "zod";
import { duration, name, quantity, wholeNumber } from "./scalars.ts";

const host = z.string().regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, {
  error: "is not a host name, for example berth.example.com",
});

const tls = z
  .strictObject({
    secretName: name
      .default("api-tls")
      .describe(
        "Secret with the certificate, in the namespace berth: one that you made, or the one cert-manager fills.",
      ),
    clusterIssuer: name
      .nullable()
      .default(null)
      .describe("ClusterIssuer of cert-manager that fills the Secret; null where you made it."),
    issuer: name
      .nullable()
      .default(null)
      .describe("Issuer of cert-manager in the namespace berth that fills the Secret; null where you made it."),
  })
  .check((check) => {
    const { clusterIssuer, issuer } = check.value;
    if (clusterIssuer !== null && issuer !== null)
      check.issues.push({ code: "custom", input: issuer, path: ["issuer"], message: "is set beside clusterIssuer" });
  });

export const ingress = z
  .strictObject({
    controller: z
      .enum(["nginx", "haproxy", "traefik"], { error: "is none of nginx, haproxy, traefik" })
      .describe(
        "What serves the Ingress: nginx (ingress-nginx), haproxy (haproxy-ingress) or traefik (version 3, with its CustomResourceDefinitions).",
      ),
    className: name.optional().describe("IngressClass. By default it is called like the controller."),
    hosts: z
      .array(host)
      .min(1, { error: "is empty; name a host" })
      .optional()
      .describe(
        "Names under which users reach the API; without it the host of `publicUrl`, any where that is an IP address.",
      ),
    tls: tls.nullable().prefault({}).describe("The certificate; null where TLS ends before the ingress."),
    sandboxTls: tls
      .nullable()
      .prefault({ secretName: "sandbox-tls" })
      .describe(
        "The certificate for the host of `sandboxUrl`, with its `*`, which cert-manager gets by DNS-01 only; null where TLS ends before the ingress.",
      ),
    controllerNamespace: name
      .nullable()
      .default(null)
      .describe(
        "Namespace of the controller's pods; only they reach the API then. Null for anyone, as where the controller runs in the host's network.",
      ),
    requestsPerSecond: wholeNumber
      .min(1, { error: "is below 1" })
      .default(20)
      .describe(
        "Requests a second (haproxy: connections) that one client's address may make, against floods. What a key may do is in `limits`.",
      ),
    bodySize: quantity.default("1Mi").describe("Largest request body, in bytes."),
    desktopTimeout: duration
      .default("8h")
      .describe("How long a desktop's connection may be silent before it is cut. Traefik never cuts it."),
    annotations: z
      .record(z.string(), z.string({ error: "is not text" }))
      .default({})
      .describe("Further annotations of the Ingress; they win over those made from the keys above."),
  })
  .nullable();

export type IngressConfig = NonNullable<z.output<typeof ingress>>;
