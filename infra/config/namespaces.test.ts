import { expect, test } from "vitest";
import { parseConfig } from "./config.ts";

const faultsOf = ({ tenants = [{ name: "acme" }], ...values }: Record<string, unknown>) =>
  parseConfig({
    ...{ context: "here", registry: "registry.example.com/berth", publicUrl: "https://berth.example.com" },
    ...values,
    tenants: JSON.stringify(tenants),
  }).faults;

const isThePlatforms = (namespace: string) =>
  `gives the tenant the namespace ${namespace}, which is the platform's (\`namespace\`); use another name, or change \`tenantPrefix\``;

test.each([
  ["the default prefix", { namespace: "tenant-acme" }, "acme", "tenant-acme"],
  [
    "a prefix that the platform's namespace has too",
    { namespace: "berth-x", tenantPrefix: "berth-", tenants: [{ name: "x" }] },
    "x",
    "berth-x",
  ],
])("a tenant's namespace can't be the platform's: %s", (_, values, name, namespace) => {
  expect(faultsOf(values)).toEqual([`tenants[0].name: "${name}" ${isThePlatforms(namespace)}`]);
});

test.each(["default", "kube-system", "kube-berth"])("the platform's namespace can't be %s", (namespace) => {
  expect(faultsOf({ namespace })).toEqual([
    `namespace: "${namespace}" is a name that Kubernetes reserves; name a namespace for Berth alone`,
  ]);
});

test("the prefix of tenants' namespaces can't begin with kube-, which Kubernetes reserves", () => {
  expect(faultsOf({ tenantPrefix: "kube-", tenants: [{ name: "system" }] })).toEqual([
    'tenantPrefix: "kube-" begins with kube-, which Kubernetes reserves; choose another beginning',
  ]);
});

test("two stacks of one cluster may have names that begin alike", () => {
  expect(faultsOf({ namespace: "berth-staging", tenantPrefix: "berth-staging--" })).toBeUndefined();
});
