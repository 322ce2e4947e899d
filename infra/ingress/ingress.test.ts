import { expect, test } from "vitest";
import { parseConfig } from "../config/config.ts";
import type { IngressConfig } from "../config/ingress.ts";
import { traefikMiddlewares } from "./controllers.ts";
import { annotations, ingressSpec, sandboxIngressSpec } from "./ingress.ts";

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };

/** An ingress config as the stack would have it, defaults filled in. */
function configOf(values: object): IngressConfig {
  const { config } = parseConfig({ ...required, ingress: JSON.stringify(values) });
  if (!config?.ingress) throw new Error("no ingress");
  return config.ingress;
}

test("the controller is enough: its class, the host of publicUrl, a certificate in api-tls; only API and desktop get out", () => {
  const backend = { service: { name: "gateway", port: { name: "http" } } };
  expect(ingressSpec(configOf({ controller: "nginx" }), "https://berth.example.com:8443")).toEqual({
    ingressClassName: "nginx",
    tls: [{ hosts: ["berth.example.com"], secretName: "api-tls" }],
    rules: [
      {
        host: "berth.example.com",
        http: {
          paths: [
            { path: "/v1", pathType: "Prefix", backend },
            { path: "/desktop", pathType: "Prefix", backend },
          ],
        },
      },
    ],
  });
});

test("hosts and class can be named; without TLS none is asked for", () => {
  const spec = ingressSpec(
    configOf({ controller: "haproxy", className: "edge", hosts: ["a.example", "b.example"], tls: null }),
    "https://c.example",
  );
  expect(spec.ingressClassName).toBe("edge");
  expect(spec.rules).toMatchObject([{ host: "a.example" }, { host: "b.example" }]);
  expect(spec).not.toHaveProperty("tls");
});

test.each(["http://192.0.2.7:8080", "http://[2001:db8::7]"])(
  "an Ingress can't name %s, so it takes any host",
  (publicUrl) => {
    const spec = ingressSpec(configOf({ controller: "nginx" }), publicUrl);
    expect(spec.rules).toEqual([{ http: expect.anything() }]);
    expect(spec.tls).toEqual([{ secretName: "api-tls" }]);
  },
);

const limits = { requestsPerSecond: 50, bodySize: "2Mi", desktopTimeout: "12h" };

test("ingress-nginx: limits as annotations, desktops may be silent for hours", () => {
  expect(annotations(configOf({ controller: "nginx", ...limits }), "berth")).toEqual({
    "pulumi.com/skipAwait": "true",
    "nginx.ingress.kubernetes.io/ssl-redirect": "true",
    "nginx.ingress.kubernetes.io/limit-rps": "50",
    "nginx.ingress.kubernetes.io/proxy-body-size": "2097152",
    "nginx.ingress.kubernetes.io/proxy-read-timeout": "43200",
    "nginx.ingress.kubernetes.io/proxy-send-timeout": "43200",
    "nginx.ingress.kubernetes.io/proxy-buffering": "off",
  });
});

test("haproxy-ingress: limits as annotations, the time-out of tunnels only", () => {
  expect(annotations(configOf({ controller: "haproxy", ...limits }), "berth")).toEqual({
    "pulumi.com/skipAwait": "true",
    "haproxy-ingress.github.io/ssl-redirect": "true",
    "haproxy-ingress.github.io/limit-rps": "50",
    "haproxy-ingress.github.io/proxy-body-size": "2097152",
    "haproxy-ingress.github.io/timeout-tunnel": "43200s",
  });
});

test("Traefik: limits as Middlewares, to which the annotation leads by name", () => {
  const config = configOf({ controller: "traefik", ...limits });
  expect(annotations(config, "berth")).toEqual({
    "pulumi.com/skipAwait": "true",
    "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
    "traefik.ingress.kubernetes.io/router.tls": "true",
    "traefik.ingress.kubernetes.io/router.middlewares":
      "berth-api-rate-limit@kubernetescrd,berth-api-body-size@kubernetescrd",
  });
  expect(traefikMiddlewares(config)).toEqual({
    "api-rate-limit": { rateLimit: { average: 50, burst: 250 } },
    "api-body-size": { buffering: { maxRequestBodyBytes: 2_097_152 } },
  });
});

test("cert-manager is told which issuer fills the Secret; annotations of one's own win", () => {
  const tls = { clusterIssuer: "letsencrypt" };
  const own = { "nginx.ingress.kubernetes.io/limit-rps": "1", "example.com/team": "agents" };
  expect(annotations(configOf({ controller: "nginx", tls, annotations: own }), "berth")).toMatchObject({
    "cert-manager.io/cluster-issuer": "letsencrypt",
    ...own,
  });
});

test("sessions' ports have an Ingress of their own: their host with its *, all paths, a certificate of its own", () => {
  const backend = { service: { name: "gateway", port: { name: "sandbox" } } };
  const config = configOf({ controller: "nginx" });
  expect(sandboxIngressSpec(config, "https://*.sandbox.example.org")).toEqual({
    ingressClassName: "nginx",
    tls: [{ hosts: ["*.sandbox.example.org"], secretName: "sandbox-tls" }],
    rules: [{ host: "*.sandbox.example.org", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
  });
  const plain = sandboxIngressSpec(configOf({ controller: "nginx", sandboxTls: null }), "http://sandbox.example.org");
  expect(plain.rules[0]?.host).toBe("sandbox.example.org");
  expect(plain).not.toHaveProperty("tls");
});
