/** The resources that older versions make. A test checks that this version finds all of them in the state of a stack. */
import { readFileSync } from "node:fs";
import { identityOf, type RecordedResource } from "./record.ts";

/** `objectOf` each resource, by the resource's URN. */
export type Urns = Record<string, string>;

/** By commit and stack. */
type FormerUrns = Record<string, Record<string, Urns>>;

export const formerUrnsFile = new URL("../testdata/former-urns.golden.json", import.meta.url);

export const readFormerUrns = (): FormerUrns => JSON.parse(readFileSync(formerUrnsFile, "utf8"));

/** The two stacks of the checkout, and a third one with the options that those do not use. */
export const stacks: Record<string, [stack: string, changes: Record<string, unknown>]> = {
  dev: ["dev", {}],
  // The older versions' file names this controller.
  prod: ["prod", { ingress: { controller: "nginx" } }],
  more: [
    "prod",
    {
      sandboxUrl: "https://*.sandbox.example.org",
      ingress: { controller: "traefik" },
      grafana: { image: `docker.io/grafana/grafana@sha256:${"0".repeat(64)}` },
      registryLogins: [{ server: "registry.example.com", username: "reader", password: "s3cret" }],
      trustedCertificates: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
      tokenKeys: { oldest: 1, current: 3 },
      autoscaler: "keda",
      gateway: "inside",
    },
  ],
};

/** Without the resources that the stack only reads, because `up` never deletes those. */
export const urnsOf = (resources: RecordedResource[]): Urns =>
  Object.fromEntries(
    resources
      .filter(({ read }) => !read)
      .map((resource) => [identityOf(resource).urn, objectOf(resource)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/**
 * The object in the cluster that the resource stands for, without the hash of its content: for example `Service berth/api`. Empty
 * if the resource stands for no object in the cluster.
 */
export function objectOf({ inputs }: RecordedResource): string {
  const { kind, metadata } = inputs as { kind?: string; metadata?: { name: string; namespace?: string } };
  if (kind === undefined || metadata === undefined) return "";
  const { namespace, name } = metadata;
  return `${kind} ${namespace ? `${namespace}/` : ""}${name.replace(/-[0-9a-f]{10}$/, "-…")}`;
}
