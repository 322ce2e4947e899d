/** The addresses that users reach, and the ports to which their requests go. The functions have no side effects. */
import { isIP } from "node:net";
import type { IngressConfig } from "../config/ingress.ts";
import { sandboxHost } from "../config/sandbox.ts";

/** An address that users reach. */
export interface Site {
  name: "api" | "sandbox";
  /** Host names. Empty: any host. */
  hosts: string[];
  /** Prefixes of paths. */
  paths: string[];
  /** The port of the Service to which the requests go. */
  port: number;
}

/** The API's paths for users. Health checks and metrics are on the same port, but stay inside the cluster. */
export const publicPaths = ["/v1", "/desktop"];

/**
 * The sites of a stack. If the config names no hosts, the API's host is that of the public address. If the public address is
 * an IP address, the API is reached with any host, because neither an Ingress nor an HTTPRoute can name an IP address.
 */
export function sites({ hosts }: Pick<IngressConfig, "hosts">, publicUrl: string, sandboxUrl: string | null): Site[] {
  const { hostname } = new URL(publicUrl);
  const ofUrl = isIP(hostname.replace(/[[\]]/g, "")) ? [] : [hostname];
  return [
    { name: "api", hosts: hosts ?? ofUrl, paths: publicPaths, port: 80 },
    ...(sandboxUrl === null
      ? []
      : [{ name: "sandbox" as const, hosts: [sandboxHost(sandboxUrl)], paths: ["/"], port: 3003 }]),
  ];
}
