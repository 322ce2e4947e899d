/**
 * The annotations for each ingress controller. nginx and haproxy get four settings: TLS redirect, rate limit, body size, and the
 * timeout of silent desktops. Traefik gets the rate limit and the body size, as Middlewares.
 */

import { quantityValue } from "../../runtime/src/domain/quota/quantity.ts";
import { secondsOf } from "../config/duration.ts";
import type { ClassicIngressConfig, KnownIngressConfig } from "../config/ingress.ts";

type Annotations = Record<string, string>;

/** The purposes of the Middlewares that Berth makes for Traefik. */
const middlewares = ["rate-limit", "body-size"] as const;

/** Specs of Traefik's Middleware objects, by purpose. A Middleware is a custom resource to which an Ingress refers. */
export type Middlewares = Record<(typeof middlewares)[number], Record<string, unknown>>;

const bytes = (config: KnownIngressConfig) => Math.floor(quantityValue(config.bodySize));
const silence = (config: KnownIngressConfig) => secondsOf(config.desktopTimeout) ?? 0;
const redirect = (config: KnownIngressConfig) => String(config.tls !== null);

/** Annotations for ingress-nginx. nginx allows short bursts of five times the rate and answers 503 above that. */
export const nginxAnnotations = (config: KnownIngressConfig): Annotations =>
  prefixed("nginx.ingress.kubernetes.io", {
    "ssl-redirect": redirect(config),
    "limit-rps": String(config.requestsPerSecond),
    "proxy-body-size": String(bytes(config)),
    // If a connection, for example a WebSocket, carries no data for this time, nginx closes the connection. The API itself limits
    // the time of requests.
    "proxy-read-timeout": String(silence(config)),
    "proxy-send-timeout": String(silence(config)),
    // Without buffering, nginx passes server-sent events on immediately.
    "proxy-buffering": "off",
  });

/**
 * Annotations for haproxy-ingress. HAProxy limits the rate of connections, not of requests, and answers 429 above the limit.
 */
export const haproxyAnnotations = (config: KnownIngressConfig): Annotations =>
  prefixed("haproxy-ingress.github.io", {
    "ssl-redirect": redirect(config),
    "limit-rps": String(config.requestsPerSecond),
    "proxy-body-size": String(bytes(config)),
    // This timeout applies only to connections that became WebSockets.
    "timeout-tunnel": `${silence(config)}s`,
  });

/** Annotations for Traefik 3. Traefik never closes a silent WebSocket. @param namespace of the Middlewares */
export const traefikAnnotations = (config: KnownIngressConfig, namespace: string): Annotations =>
  prefixed("traefik.ingress.kubernetes.io", {
    // `websecure` is Traefik's entry point for TLS. Berth does not redirect HTTP to HTTPS here; Traefik's own configuration
    // redirects `web` to `websecure`.
    "router.entrypoints": config.tls === null ? "web" : "websecure",
    ...(config.tls !== null && { "router.tls": "true" }),
    "router.middlewares": middlewares
      .map((middleware) => `${namespace}-${middlewareName(middleware)}@kubernetescrd`)
      .join(","),
  });

/** The object name of a Middleware. */
export const middlewareName = (middleware: string): string => `api-${middleware}`;

/** The Middlewares for the rate limit and the body size, which the other controllers read from annotations. */
export const traefikMiddlewares = (config: KnownIngressConfig): Middlewares => ({
  "rate-limit": { rateLimit: { average: config.requestsPerSecond, burst: 5 * config.requestsPerSecond } },
  "body-size": { buffering: { maxRequestBodyBytes: bytes(config) } },
});

/**
 * All annotations of an Ingress.
 * @param namespace of the Ingress
 */
export function annotations(config: ClassicIngressConfig, namespace: string): Annotations {
  const { clusterIssuer = null, issuer = null } = config.tls ?? {};
  return {
    // `up` does not wait for the Ingress, because not every controller reports in the Ingress when it is ready.
    "pulumi.com/skipAwait": "true",
    ...(clusterIssuer && { "cert-manager.io/cluster-issuer": clusterIssuer }),
    ...(issuer && { "cert-manager.io/issuer": issuer }),
    ...(config.controller !== "custom" && byController[config.controller](config, namespace)),
    ...config.annotations,
  };
}

const byController = { nginx: nginxAnnotations, haproxy: haproxyAnnotations, traefik: traefikAnnotations };

const prefixed = (prefix: string, values: Annotations): Annotations =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}/${key}`, value]));
