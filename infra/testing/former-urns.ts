/** The resources that older versions make. A test checks that this version finds all of them in the state of a stack. */
import { readFileSync } from "node:fs";
import { identityOf, type RecordedResource } from "./record.ts";

/** Key: the URN of a resource. Value: the result of `objectOf`. */
export type Urns = Record<string, string>;

/** The URNs of each older version, by commit and stack. */
type FormerUrns = Record<string, Record<string, Urns>>;

export const formerUrnsFile = new URL("../testdata/former-urns.golden.json", import.meta.url);

export const readFormerUrns = (): FormerUrns => JSON.parse(readFileSync(formerUrnsFile, "utf8"));

/** The stacks `dev` and `prod` of the checkout, and a third one with options that neither of the two uses. */
export const stacks: Record<string, [stack: string, changes: Record<string, unknown>]> = {
  dev: ["dev", {}],
  // In the older versions, Pulumi.prod.yaml names this controller.
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

/** The resources' URNs and objects. Resources that the stack only reads are left out, because `up` never deletes them. */
export const urnsOf = (resources: RecordedResource[]): Urns =>
  Object.fromEntries(
    resources
      .filter(({ read }) => !read)
      .map((resource) => [identityOf(resource).urn, objectOf(resource)] as const)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );

/**
 * The object in the cluster that the resource represents, without the hash of its content: for example `Service berth/api`.
 * Empty if the resource represents no object in the cluster.
 */
export function objectOf({ inputs }: RecordedResource): string {
  const { kind, metadata } = inputs as { kind?: string; metadata?: { name: string; namespace?: string } };
  if (kind === undefined || metadata === undefined) return "";
  const { namespace, name } = metadata;
  return `${kind} ${namespace ? `${namespace}/` : ""}${name.replace(/-[0-9a-f]{10}$/, "-…")}`;
}
