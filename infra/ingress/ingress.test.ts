import { expect, test } from "vitest";
import { parseConfig } from "../config/config.ts";
import type { ClassicIngressConfig, GatewayRouteConfig, IngressConfig, KnownIngressConfig } from "../config/ingress.ts";
import { annotations, traefikMiddlewares } from "./controllers.ts";
import { configOfSite, ingressSpec, routeSpec } from "./ingress.ts";
import { sites } from "./sites.ts";

const required = { context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" };

/** The group `ingress` of the config, with these values and with the defaults of all other keys. */
function configOf<Config extends IngressConfig = KnownIngressConfig>(values: object): Config {
  const { config, faults } = parseConfig({ ...required, ingress: JSON.stringify(values) });
  if (!config?.ingress) throw new Error(faults?.join("\n"));
  return config.ingress as Config;
}

const gateway = { name: "shared", namespace: "edge" };

/** The Ingress `api` for this public address. */
function apiIngress(config: ClassicIngressConfig, publicUrl: string) {
  const [api] = sites(config, publicUrl, null);
  if (api === undefined) throw new Error("no site");
  return ingressSpec(config, api, "gateway");
}

test("only the controller is required; the defaults are its class, the host of publicUrl, the Secret api-tls, and the paths of API and desktop", () => {
  const backend = { service: { name: "gateway", port: { number: 80 } } };
  expect(apiIngress(configOf({ controller: "nginx" }), "https://berth.example.com:8443")).toEqual({
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

test("the config can set hosts and class, and without TLS the Ingress has no certificate", () => {
  const spec = apiIngress(
    configOf({ controller: "haproxy", className: "edge", hosts: ["a.example", "b.example"], tls: null }),
    "https://c.example",
  );
  expect(spec.ingressClassName).toBe("edge");
  expect(spec.rules).toMatchObject([{ host: "a.example" }, { host: "b.example" }]);
  expect(spec).not.toHaveProperty("tls");
});

test.each(["http://192.0.2.7:8080", "http://[2001:db8::7]"])(
  "neither an Ingress nor an HTTPRoute can name %s, so both take any host",
  (publicUrl) => {
    const spec = apiIngress(configOf({ controller: "nginx" }), publicUrl);
    expect(spec.rules).toEqual([{ http: expect.anything() }]);
    expect(spec.tls).toEqual([{ secretName: "api-tls" }]);
    const config = configOf<GatewayRouteConfig>({ controller: "gateway-api", gateway });
    for (const site of sites(config, publicUrl, null))
      expect(routeSpec(config, site, "gateway")).not.toHaveProperty("hostnames");
  },
);

test("an HTTPRoute names the Gateway and its listener, and has no time limit for streams", () => {
  const config = configOf<GatewayRouteConfig>({
    controller: "gateway-api",
    gateway: { ...gateway, sandboxListener: "sandbox" },
  });
  const routes = sites(config, "https://berth.example.com", "https://*.sandbox.example.org").map((site) =>
    routeSpec(config, site, "gateway"),
  );
  const path = (value: string) => ({ path: { type: "PathPrefix", value } });
  expect(routes).toEqual([
    {
      parentRefs: [gateway],
      hostnames: ["berth.example.com"],
      rules: [
        {
          matches: [path("/v1"), path("/desktop")],
          backendRefs: [{ name: "gateway", port: 80 }],
          timeouts: { request: "0s" },
        },
      ],
    },
    {
      parentRefs: [{ ...gateway, sectionName: "sandbox" }],
      hostnames: ["*.sandbox.example.org"],
      rules: [{ matches: [path("/")], backendRefs: [{ name: "gateway", port: 3003 }], timeouts: { request: "0s" } }],
    },
  ]);
  const silent = configOf<GatewayRouteConfig>({ controller: "gateway-api", gateway, requestTimeout: null });
  for (const site of sites(silent, "https://berth.example.com", null))
    expect(routeSpec(silent, site, "gateway").rules[0]).not.toHaveProperty("timeouts");
});

test("the Ingress for a custom controller has its class, and no annotations but those of the config and cert-manager", () => {
  const own = { "alb.ingress.kubernetes.io/scheme": "internet-facing" };
  const tls = { clusterIssuer: "letsencrypt" };
  const config = configOf<ClassicIngressConfig>({ controller: "custom", className: "alb", annotations: own, tls });
  expect(apiIngress(config, "https://berth.example.com").ingressClassName).toBe("alb");
  expect(annotations(config, "berth")).toEqual({
    "pulumi.com/skipAwait": "true",
    "cert-manager.io/cluster-issuer": "letsencrypt",
    ...own,
  });
});

const limits = { requestsPerSecond: 50, bodySize: "2Mi", desktopTimeout: "12h" };

test("ingress-nginx gets annotations with the limits and a long timeout for silent desktops", () => {
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

test("haproxy-ingress gets annotations with the limits and a long timeout only for tunnels", () => {
  expect(annotations(configOf({ controller: "haproxy", ...limits }), "berth")).toEqual({
    "pulumi.com/skipAwait": "true",
    "haproxy-ingress.github.io/ssl-redirect": "true",
    "haproxy-ingress.github.io/limit-rps": "50",
    "haproxy-ingress.github.io/proxy-body-size": "2097152",
    "haproxy-ingress.github.io/timeout-tunnel": "43200s",
  });
});

test("Traefik gets Middlewares with the limits, and an annotation with their names", () => {
  const config = configOf({ controller: "traefik", ...limits });
  expect(annotations(config, "berth")).toEqual({
    "pulumi.com/skipAwait": "true",
    "traefik.ingress.kubernetes.io/router.entrypoints": "websecure",
    "traefik.ingress.kubernetes.io/router.tls": "true",
    "traefik.ingress.kubernetes.io/router.middlewares":
      "berth-api-rate-limit@kubernetescrd,berth-api-body-size@kubernetescrd",
  });
  expect(traefikMiddlewares(config)).toEqual({
    "rate-limit": { rateLimit: { average: 50, burst: 250 } },
    "body-size": { buffering: { maxRequestBodyBytes: 2_097_152 } },
  });
});

test("an annotation names cert-manager's issuer, and the config's annotations override Berth's", () => {
  const tls = { clusterIssuer: "letsencrypt" };
  const own = { "nginx.ingress.kubernetes.io/limit-rps": "1", "example.com/team": "agents" };
  expect(annotations(configOf({ controller: "nginx", tls, annotations: own }), "berth")).toMatchObject({
    "cert-manager.io/cluster-issuer": "letsencrypt",
    ...own,
  });
});

test("sessions' ports have a separate Ingress with the sandbox host, all paths and a separate certificate", () => {
  const sandboxIngress = (config: ClassicIngressConfig, sandboxUrl: string) => {
    const [, sandbox] = sites(config, "https://berth.example.com", sandboxUrl);
    if (sandbox === undefined) throw new Error("no site");
    return ingressSpec(configOfSite(config, sandbox), sandbox, "gateway");
  };
  const backend = { service: { name: "gateway", port: { number: 3003 } } };
  const config = configOf({ controller: "nginx" });
  expect(sandboxIngress(config, "https://*.sandbox.example.org")).toEqual({
    ingressClassName: "nginx",
    tls: [{ hosts: ["*.sandbox.example.org"], secretName: "sandbox-tls" }],
    rules: [{ host: "*.sandbox.example.org", http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
  });
  const withoutTls = configOf({ controller: "nginx", sandboxTls: null });
  const plain = sandboxIngress(withoutTls, "http://sandbox.example.org");
  expect(plain.rules[0]).toMatchObject({ host: "sandbox.example.org" });
  expect(plain).not.toHaveProperty("tls");
});
