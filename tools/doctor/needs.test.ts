/** Tests the lists of what a config needs in its cluster: Secrets, kinds of objects, and permissions. */
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { root } from "../../machine/machine.ts";
import { issuersOf, kindsOf, rightsOf, secretsOf } from "./needs.ts";
import { config } from "./testing.ts";

const named = (values: Record<string, unknown>) =>
  secretsOf(config(values)).map(({ namespace, name, keys, key }) => [`${namespace}/${name}`, keys.join(" "), key]);

test("a config that names no Secret needs none", () => {
  expect(named({})).toEqual([]);
});

test("each Secret that the config names is needed, in its namespace and with its keys", () => {
  const addresses = [{ cidr: "10.0.0.5/32", port: 5432 }];
  const image = `ghcr.io/acme/python@sha256:${"0".repeat(64)}`;
  const tenants = [
    {
      name: "acme",
      keys: [{ name: "ci", secret: "acme-ci" }],
      images: [{ name: "python", image, pullSecret: "acme-registry" }],
    },
    { name: "leaves", remove: true, keys: [{ name: "ci", secret: "gone" }] },
  ];
  expect(
    named({
      postgres: { external: { secret: "database", addresses } },
      redis: { passwordSecret: "redis-1" },
      tokenKeySecret: "tokens",
      tokenKeys: { oldest: 2, current: 3 },
      adminKeys: [{ name: "root", secret: "root" }],
      imagePullSecrets: ["registry"],
      tenants,
    }),
  ).toEqual([
    ["berth/database", "host port password database user", "postgres.external.secret"],
    ["berth/redis-1", "password", "redis.passwordSecret"],
    ["berth/tokens", "token-key-2 token-key-3", "tokenKeySecret"],
    ["berth/root", "key", "adminKeys[0].secret"],
    ["berth/acme-ci", "key", "tenants[0].keys[0].secret"],
    ["berth/registry", ".dockerconfigjson", "imagePullSecrets"],
    ["tenant-acme/registry", ".dockerconfigjson", "imagePullSecrets"],
    ["tenant-acme/acme-registry", ".dockerconfigjson", "tenants[0].images[0].pullSecret"],
  ]);
});

const sandboxUrl = "https://*.sandbox.example.org";

test("a certificate's Secret is needed only if no issuer makes the Secret", () => {
  const tls = { secretName: "mine" };
  const own = [["berth/mine", "tls.crt tls.key", "ingress.tls.secretName"]];
  expect(named({ ingress: { controller: "haproxy", tls } })).toEqual(own);
  expect(named({ ingress: { controller: "haproxy", tls }, sandboxUrl })).toHaveLength(2);
  expect(named({ ingress: { controller: "haproxy", tls: { ...tls, issuer: "ca" } } })).toEqual([]);
  const annotations = { "cert-manager.io/cluster-issuer": "ca" };
  expect(named({ ingress: { controller: "haproxy", tls, annotations } })).toEqual([]);
  const gateway = { name: "shared", namespace: "edge" };
  expect(named({ ingress: { controller: "gateway-api", gateway } })).toEqual([]);
});

test("the issuers of both certificates are needed, those of sessions' ports only with sandboxUrl", () => {
  const ingress = { controller: "haproxy", tls: { issuer: "ca" }, sandboxTls: { clusterIssuer: "dns" } };
  const api = { kind: "Issuer", name: "ca", key: "ingress.tls.issuer" };
  expect(issuersOf(config({ ingress }))).toEqual([api]);
  expect(issuersOf(config({ ingress, sandboxUrl }))).toEqual([
    api,
    { kind: "ClusterIssuer", name: "dns", key: "ingress.sandboxTls.clusterIssuer" },
  ]);
});

test.each<[Record<string, unknown>, string[]]>([
  [{}, []],
  [{ network: { policies: "cilium" } }, ["ciliumnetworkpolicies.cilium.io"]],
  [{ autoscaler: "keda" }, ["scaledobjects.keda.sh"]],
  [{ ingress: { controller: "traefik" } }, ["middlewares.traefik.io"]],
  [
    { ingress: { controller: "gateway-api", gateway: { name: "shared", namespace: "edge" } } },
    ["httproutes.gateway.networking.k8s.io"],
  ],
  [{ ingress: { controller: "haproxy", tls: { issuer: "ca" } } }, ["certificates.cert-manager.io"]],
])("%j needs the kinds %j, and rights for those that `up` makes", (values, kinds) => {
  const stack = config(values);
  expect(kindsOf(stack).map(({ group, resource }) => `${resource}.${group}`)).toEqual(kinds);
  const rights = rightsOf(stack).map(({ group, resource }) => `${resource}.${group}`);
  expect(kinds.filter((kind) => !rights.includes(kind))).toEqual(kinds.filter((kind) => kind.startsWith("cert")));
});

/** The resources that the golden files of all stacks contain, without objects that the program only reads. */
function made(): Set<string> {
  const files = globSync("infra/testdata/{dev,prod,kind}.golden.json", { cwd: root });
  const all = files.flatMap(
    (file) => JSON.parse(readFileSync(join(root, file), "utf8")) as { type: string; read?: true }[],
  );
  return new Set(
    all.flatMap(({ type, read }) => {
      const [, group = "", kind = ""] = /^kubernetes:([^/]+)\/[^:]+:(\w+)$/.exec(type) ?? [];
      if (kind === "" || read) return [];
      const plural = `${kind.toLowerCase()}s`.replace(/ys$/, "ies").replace(/sss$/, "sses");
      return [group === "core" ? `${plural}.` : `${plural}.${group}`];
    }),
  );
}

test("the rights are those for the objects that the stacks dev, prod and kind make", () => {
  const gateway = { name: "shared", namespace: "edge" };
  const rights = rightsOf(config({ ingress: { controller: "gateway-api", gateway } }));
  expect(rights.map(({ group, resource }) => `${resource}.${group}`).sort()).toEqual([...made()].sort());
});

test("a stack without adapter, autoscaler or ingress needs no rights for their objects", () => {
  const rights = (values: Record<string, unknown>) => rightsOf(config(values)).map(({ resource }) => resource);
  const optional = ["horizontalpodautoscalers", "apiservices", "ingresses"];
  expect(rights({ autoscaler: "off", adapter: { enabled: false } }).filter((one) => optional.includes(one))).toEqual(
    [],
  );
  expect(rights({ ingress: { controller: "haproxy" } }).filter((one) => optional.includes(one))).toEqual(optional);
});
