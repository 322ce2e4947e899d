import { isIP } from "node:net";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import type { IngressConfig } from "../config/ingress.ts";
import { sandboxHost } from "../config/sandbox.ts";
import { labels } from "../kubernetes/labels.ts";
import { haproxyAnnotations, nginxAnnotations, traefikAnnotations, traefikMiddlewares } from "./controllers.ts";

export interface IngressArgs extends IngressConfig {
  /** The platform's namespace. */
  namespace: pulumi.Input<string>;
  /** Its host is served where the config names none. */
  publicUrl: string;
  /** Where sessions' ports are reached; null for nowhere. */
  sandboxUrl: string | null;
}

/** What people and programs outside ask for. Health and metrics, which the API serves on the same port, stay inside. */
export const publicPaths = ["/v1", "/desktop"];

/**
 * The way in from outside: the Ingress `api`, which leads to port 80 of the Service `gateway`, WebSockets included. All goes
 * there, because by the beginning of a path nobody can tell what is a session's files from what is the session itself.
 * The Ingress `sandbox` for sessions' ports leads to its port 3003.
 */
export class Ingress extends pulumi.ComponentResource {
  constructor(name: string, args: IngressArgs, opts: pulumi.ComponentResourceOptions) {
    super("berth:index:Ingress", name, {}, opts);
    const { namespace } = args;
    const middlewares = Object.entries(args.controller === "traefik" ? traefikMiddlewares(args) : {}).map(
      ([middleware, spec]) =>
        new k8s.apiextensions.CustomResource(
          middleware,
          {
            apiVersion: "traefik.io/v1alpha1",
            kind: "Middleware",
            metadata: { name: middleware, namespace, labels: labels("ingress") },
            spec,
          },
          { parent: this },
        ),
    );
    const make = (name: string, config: IngressConfig, spec: ReturnType<typeof ingressSpec>) =>
      new k8s.networking.v1.Ingress(
        name,
        {
          metadata: {
            name,
            namespace,
            labels: labels("ingress"),
            annotations: pulumi.output(namespace).apply((platform) => annotations(config, platform)),
          },
          spec,
        },
        { parent: this, dependsOn: middlewares },
      );
    make(name, args, ingressSpec(args, args.publicUrl));
    if (args.sandboxUrl !== null) {
      make("sandbox", { ...args, tls: args.sandboxTls }, sandboxIngressSpec(args, args.sandboxUrl));
    }
    this.registerOutputs();
  }
}

/**
 * Which hosts, by which certificate. Where the config names none it is the one of the public address, and where that is an
 * IP address, which an Ingress can't name, any.
 */
export function ingressSpec(config: IngressConfig, publicUrl: string) {
  const { hostname } = new URL(publicUrl);
  const hosts = config.hosts ?? (isIP(hostname.replace(/[[\]]/g, "")) ? [] : [hostname]);
  const backend = { service: { name: "gateway", port: { name: "http" } } };
  const http = { paths: publicPaths.map((path) => ({ path, pathType: "Prefix", backend })) };
  return {
    ingressClassName: config.className ?? config.controller,
    ...(config.tls && { tls: [{ ...(hosts.length > 0 && { hosts }), secretName: config.tls.secretName }] }),
    rules: hosts.length > 0 ? hosts.map((host) => ({ host, http })) : [{ http }],
  };
}

/** The host of sessions' ports, with its `*`, by a certificate of its own. All paths are theirs. */
export function sandboxIngressSpec(config: IngressConfig, sandboxUrl: string) {
  const host = sandboxHost(sandboxUrl);
  const backend = { service: { name: "gateway", port: { name: "sandbox" } } };
  return {
    ingressClassName: config.className ?? config.controller,
    ...(config.sandboxTls && { tls: [{ hosts: [host], secretName: config.sandboxTls.secretName }] }),
    rules: [{ host, http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }],
  };
}

/** All annotations of the Ingress. @param namespace where it is */
export function annotations(config: IngressConfig, namespace: string): Record<string, string> {
  const { clusterIssuer = null, issuer = null } = config.tls ?? {};
  const byController = {
    nginx: nginxAnnotations,
    haproxy: haproxyAnnotations,
    traefik: (traefik: IngressConfig) => traefikAnnotations(traefik, namespace),
  };
  return {
    // Not every controller says at the Ingress when it is ready, and `up` would wait for it.
    "pulumi.com/skipAwait": "true",
    ...(clusterIssuer && { "cert-manager.io/cluster-issuer": clusterIssuer }),
    ...(issuer && { "cert-manager.io/issuer": issuer }),
    ...byController[config.controller](config),
    ...config.annotations,
  };
}
