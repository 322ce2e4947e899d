/** How users reach the API from outside the cluster. */
import { z } from "zod";
import { duration, name, quantity, subdomain, wholeNumber } from "./scalars.ts";

const host = z.string().regex(/^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, {
  error: "is not a host name; write for example berth.example.com",
});

const tls = z
  .strictObject({
    secretName: subdomain
      .default("api-tls")
      .describe(
        "The Secret with the certificate in the platform's namespace. You create the Secret, or cert-manager does.",
      ),
    clusterIssuer: subdomain
      .nullable()
      .default(null)
      .describe("cert-manager's ClusterIssuer that issues the certificate. Null: no ClusterIssuer does."),
    issuer: subdomain
      .nullable()
      .default(null)
      .describe(
        "cert-manager's Issuer, in the platform's namespace, that issues the certificate. Null: no Issuer does.",
      ),
  })
  .check((check) => {
    const { clusterIssuer, issuer } = check.value;
    if (clusterIssuer !== null && issuer !== null)
      check.issues.push({
        code: "custom",
        input: issuer,
        path: ["issuer"],
        message: "is set, and clusterIssuer too; set one of the two",
      });
  });

const controller =
  "How requests come in: gateway-api (by an HTTPRoute of the Gateway API; the best choice for a new cluster), haproxy (haproxy-ingress), traefik (version 3, with its CustomResourceDefinitions), nginx (ingress-nginx, which gets no more updates), or custom (an Ingress for another controller, for which you write the annotations).";

/** The keys that the config of an Ingress and the config of an HTTPRoute have in common. */
const common = {
  hosts: z
    .array(host)
    .min(1, { error: "is empty; name a host" })
    .optional()
    .describe(
      "Host names under which users reach the API. Without this key: the host of `publicUrl`, or any host if `publicUrl` has an IP address.",
    ),
  controllerNamespace: name
    .nullable()
    .default(null)
    .describe(
      "The namespace of the pods through which requests come: the controller's, or the Gateway's proxies. The network policies then let only these pods reach the API. Null: the policies let everybody connect to the API, though calls still need a key. Null is needed if the controller's or proxies' pods use the host's network, because policies can't select such pods.",
    ),
};

const gateway = z.strictObject({
  controller: z.literal("gateway-api").describe(controller),
  ...common,
  gateway: z
    .strictObject({
      name: subdomain.describe("The Gateway's name."),
      namespace: name.describe(
        "The Gateway's namespace. Its listeners must allow routes from the platform's namespace.",
      ),
      listener: subdomain
        .optional()
        .describe("The listener for the API, by its `sectionName`. Without this key: each listener that has the host."),
      sandboxListener: subdomain
        .optional()
        .describe(
          "The listener for sessions' ports. Without this key: each listener that has the host of `sandboxUrl`.",
        ),
    })
    .describe(
      "The Gateway, required if the controller is gateway-api. The Gateway's listeners have the certificates. See docs/production.md#how-users-reach-berth.",
    ),
  requestTimeout: z
    .string()
    .regex(/^(\d{1,5}(h|m|s|ms)){1,4}$/, {
      error: "is not a duration of the Gateway API; write for example 0s, 90s or 8h",
    })
    .nullable()
    .default("0s")
    .describe(
      "With gateway-api: how long a request may take, with its answer. 0s: no limit, because event streams, desktops and downloads stay open for hours. Null: the HTTPRoute does not have this field and the Gateway's default applies, for a Gateway that does not support the field.",
    ),
});

/** The keys of an Ingress. */
const ofIngress = {
  ...common,
  tls: tls.nullable().prefault({}).describe("The certificate. Null: TLS ends in front of the ingress."),
  sandboxTls: tls
    .nullable()
    .prefault({ secretName: "sandbox-tls" })
    .describe(
      "The certificate for the host of `sandboxUrl`. For a host with a `*`, cert-manager needs DNS-01. Null: TLS ends in front of the ingress.",
    ),
  annotations: z
    .record(z.string(), z.string({ error: "is not text" }))
    .default({})
    .describe(
      "More annotations of the Ingress. They override the annotations that Berth makes from the keys above. With custom, Berth makes none but those for cert-manager.",
    ),
};

const className = subdomain.describe(
  "The IngressClass. Without this key: the name of the controller. With custom, this key is required.",
);

const custom = z.strictObject({ controller: z.literal("custom").describe(controller), className, ...ofIngress });

const known = z.strictObject({
  controller: z.enum(["haproxy", "nginx", "traefik"]).describe(controller),
  className: className.optional(),
  ...ofIngress,
  requestsPerSecond: wholeNumber
    .min(1, { error: "is below 1" })
    .default(20)
    .describe(
      "Requests per second (haproxy: connections per second) that one client address may make. This limit stops floods; the limits of an API key are in `limits`.",
    ),
  bodySize: quantity
    .default("1Mi")
    .describe("The largest request body that the ingress accepts: a number of bytes, or a quantity such as 1Mi."),
  desktopTimeout: duration
    .default("8h")
    .describe(
      "How long a desktop's connection may carry no data before the ingress closes the connection. Traefik never closes such a connection.",
    ),
});

export const ingress = z
  .discriminatedUnion("controller", [gateway, known, custom], {
    error: "is none of gateway-api, haproxy, nginx, traefik, custom",
  })
  .nullable();

export type IngressConfig = NonNullable<z.output<typeof ingress>>;
/** The config of an HTTPRoute, which adds routes to a Gateway of the Gateway API. */
export type GatewayRouteConfig = z.output<typeof gateway>;
/** The config of an Ingress of networking.k8s.io. */
export type ClassicIngressConfig = Exclude<IngressConfig, GatewayRouteConfig>;
/** The config of an Ingress for a controller whose annotations Berth knows. */
export type KnownIngressConfig = z.output<typeof known>;
