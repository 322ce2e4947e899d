import type { types } from "@pulumi/kubernetes";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { ClassicIngressConfig, GatewayRouteConfig, IngressConfig } from "../config/ingress.ts";
import { labels } from "../kubernetes/labels.ts";
import { annotations, middlewareName, traefikMiddlewares } from "./controllers.ts";
import { type Site, sites } from "./sites.ts";

interface IngressArgs {
  config: IngressConfig;
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** The Service to which all requests go. */
  service: pulumi.Input<string>;
  /** The public address of the API. Its host is the default of `hosts`. */
  publicUrl: string;
  /** The address of sessions' ports; null if ports have no address. */
  sandboxUrl: string | null;
}

type IngressSpec = types.input.networking.v1.IngressSpec;

/**
 * Makes an Ingress or an HTTPRoute, as the config says, for each address that users reach: `api` sends all requests and
 * WebSockets to port 80 of the Service `gateway`, and `sandbox` sends requests for sessions' ports to port 3003. Requests that
 * only the API answers also go through the gateway: a rule matches only prefixes of paths, and requests for a session (which
 * the API answers) and for its files (which the gateway answers) have the same prefix.
 */
export class Ingress extends pulumi.ComponentResource {
  /** The hosts by which users reach the API and the ports of sessions. Empty: the API is reached with any host. */
  readonly hosts: string[];

  constructor(name: string, args: IngressArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Ingress", name, {}, opts);
    const { config, namespace } = args;
    const middlewares = Object.entries(config.controller === "traefik" ? traefikMiddlewares(config) : {}).map(
      ([middleware, spec]) =>
        new k8s.apiextensions.CustomResource(
          `${name}-${middleware}`,
          {
            apiVersion: "traefik.io/v1alpha1",
            kind: "Middleware",
            metadata: { name: middlewareName(middleware), namespace, labels: labels("ingress") },
            spec,
          },
          { parent: this },
        ),
    );
    const all = sites(config, args.publicUrl, args.sandboxUrl);
    for (const site of all) {
      const resource = site.name === "api" ? name : `${name}-${site.name}`;
      const metadata = { name: site.name, namespace, labels: labels("ingress") };
      const spec = <Spec>(make: (service: string) => Spec) => pulumi.output(args.service).apply(make);
      if (config.controller === "gateway-api")
        new k8s.apiextensions.CustomResource(
          resource,
          {
            apiVersion: "gateway.networking.k8s.io/v1",
            kind: "HTTPRoute",
            metadata,
            spec: spec((service) => routeSpec(config, site, service)),
          },
          { parent: this },
        );
      else {
        const ofSite = configOfSite(config, site);
        const wanted = pulumi.output(namespace).apply((platform) => annotations(ofSite, platform));
        new k8s.networking.v1.Ingress(
          resource,
          {
            metadata: { ...metadata, annotations: wanted },
            spec: spec((service) => ingressSpec(ofSite, site, service)),
          },
          { parent: this, dependsOn: middlewares },
        );
      }
    }
    this.hosts = all.flatMap(({ hosts }) => hosts);
    this.registerOutputs({ hosts: this.hosts });
  }
}

/** The config of a site's Ingress: sessions' ports have a separate certificate. */
export const configOfSite = (config: ClassicIngressConfig, { name }: Site): ClassicIngressConfig =>
  name === "api" ? config : { ...config, tls: config.sandboxTls };

/** The spec of a site's Ingress. @param config of the site; see `configOfSite` */
export function ingressSpec(
  { controller, className = controller, tls }: ClassicIngressConfig,
  { hosts, paths, port }: Site,
  service: string,
) {
  const backend = { service: { name: service, port: { number: port } } };
  const http = { paths: paths.map((path) => ({ path, pathType: "Prefix", backend })) };
  return {
    ingressClassName: className,
    ...(tls && { tls: [{ ...(hosts.length > 0 && { hosts }), secretName: tls.secretName }] }),
    rules: hosts.length > 0 ? hosts.map((host) => ({ host, http })) : [{ http }],
  } satisfies IngressSpec;
}

/** The spec of a site's HTTPRoute. */
export function routeSpec({ gateway, requestTimeout }: GatewayRouteConfig, site: Site, service: string) {
  const listener = site.name === "api" ? gateway.listener : gateway.sandboxListener;
  return {
    parentRefs: [
      { name: gateway.name, namespace: gateway.namespace, ...(listener !== undefined && { sectionName: listener }) },
    ],
    ...(site.hosts.length > 0 && { hostnames: site.hosts }),
    rules: [
      {
        matches: site.paths.map((value) => ({ path: { type: "PathPrefix", value } })),
        backendRefs: [{ name: service, port: site.port }],
        ...(requestTimeout !== null && { timeouts: { request: requestTimeout } }),
      },
    ],
  };
}
