/** Tests how `lookAt` converts objects from the Kubernetes API. look.cluster.test.ts calls `lookAt` on a real cluster. */
import { expect, test } from "vitest";
import { berthsOf, node } from "./look.ts";

const namespace = (name: string, stack: string, tenant?: string) => ({
  metadata: {
    name,
    labels: {
      "app.kubernetes.io/instance": stack,
      "app.kubernetes.io/component": tenant === undefined ? "platform" : "tenant",
      ...(tenant !== undefined && { "berth.dev/tenant": tenant }),
    },
  },
});

test("the prefix of a Berth's tenants follows from the namespace of a tenant", () => {
  const namespaces = [
    namespace("tenant-acme", "prod", "acme"),
    namespace("berth", "prod"),
    namespace("lab", "lab"),
    namespace("s-acme", "staging", "acme"),
    namespace("berth-staging", "staging"),
  ];
  expect(berthsOf(namespaces)).toEqual([
    { namespace: "berth", stack: "prod", tenantPrefix: "tenant-" },
    { namespace: "lab", stack: "lab", tenantPrefix: undefined },
    { namespace: "berth-staging", stack: "staging", tenantPrefix: "s-" },
  ]);
});

test("a node has internal and external addresses", () => {
  const addresses = [
    { type: "Hostname", address: "ip-10-0-1-5" },
    { type: "InternalIP", address: "10.0.1.5" },
    { type: "ExternalIP", address: "198.51.100.7" },
  ];
  expect(node({ status: { addresses } })).toMatchObject({
    addresses: ["10.0.1.5"],
    externalAddresses: ["198.51.100.7"],
  });
});
