/** How each ingress controller is told the same four things: TLS only, rate limit, body size, desktops that live. */
import { secondsOf } from "../config/duration.ts";
import type { IngressConfig } from "../config/ingress.ts";
import { quantityValue } from "../config/quantity.ts";

type Annotations = Record<string, string>;

/** Under the name that it gets here: Traefik's Middleware, a custom resource beside the Ingress. */
export type Middlewares = Record<string, Record<string, unknown>>;

const bytes = (config: IngressConfig) => Math.floor(quantityValue(config.bodySize));
const silence = (config: IngressConfig) => secondsOf(config.desktopTimeout) ?? 0;
const redirect = (config: IngressConfig) => String(config.tls !== null);

/** ingress-nginx. Short bursts of five times the rate pass; above it nginx answers 503. */
export const nginxAnnotations = (config: IngressConfig): Annotations =>
  prefixed("nginx.ingress.kubernetes.io", {
    "ssl-redirect": redirect(config),
    "limit-rps": String(config.requestsPerSecond),
    "proxy-body-size": String(bytes(config)),
    // Between two reads or writes, which is what ends a silent WebSocket; requests are bounded by the API itself.
    "proxy-read-timeout": String(silence(config)),
    "proxy-send-timeout": String(silence(config)),
    // Server-sent events are passed on as they come.
    "proxy-buffering": "off",
  });

/** haproxy-ingress. It counts connections rather than requests; above the rate it answers 429. */
export const haproxyAnnotations = (config: IngressConfig): Annotations =>
  prefixed("haproxy-ingress.github.io", {
    "ssl-redirect": redirect(config),
    "limit-rps": String(config.requestsPerSecond),
    "proxy-body-size": String(bytes(config)),
    // Of connections that became WebSockets only.
    "timeout-tunnel": `${silence(config)}s`,
  });

/** Traefik 3. It keeps WebSockets as long as both sides do. @param namespace where the Middlewares are */
export const traefikAnnotations = (config: IngressConfig, namespace: string): Annotations =>
  prefixed("traefik.ingress.kubernetes.io", {
    // The entry point that Traefik calls websecure; its redirection from the other one is set at Traefik.
    "router.entrypoints": config.tls === null ? "web" : "websecure",
    ...(config.tls !== null && { "router.tls": "true" }),
    "router.middlewares": Object.keys(traefikMiddlewares(config))
      .map((name) => `${namespace}-${name}@kubernetescrd`)
      .join(","),
  });

/** What Traefik has in place of annotations. */
export const traefikMiddlewares = (config: IngressConfig): Middlewares => ({
  "api-rate-limit": { rateLimit: { average: config.requestsPerSecond, burst: 5 * config.requestsPerSecond } },
  "api-body-size": { buffering: { maxRequestBodyBytes: bytes(config) } },
});

const prefixed = (prefix: string, values: Annotations): Annotations =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}/${key}`, value]));
