/**
 * Checks Berth's custom objects against their projects' own CustomResourceDefinitions: the local cluster's API server gets the
 * definitions for a moment, and validates each object in a dry run. The definitions come from the projects' Go modules.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { recordStack } from "../../infra/testing/record.ts";
import { kubectl } from "../../local/cluster/kubectl.ts";
import { kubectlWait } from "../../local/cluster/testing.ts";

interface Case {
  kind: string;
  /** The Go module with the definition, and the module's checksum as in a go.sum. */
  module: string;
  sum: string;
  /** The definition's file in the module. */
  file: string;
  /** The keys of the config with which the stack prod makes such objects. */
  config: Record<string, unknown>;
  /** Objects that must be among the stack's objects of this kind, as namespace/name. */
  including: string[];
  /** A change of the first object that the API server must refuse. */
  wrong: (spec: Record<string, unknown>) => void;
}

const cases: Case[] = [
  {
    kind: "HTTPRoute",
    module: "sigs.k8s.io/gateway-api@v1.4.0",
    sum: "h1:ZwlNM6zOHq0h3WUX2gfByPs2yAEsy/EenYJB78jpQfQ=",
    file: "config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",
    config: {
      ingress: { controller: "gateway-api", gateway: { name: "shared", namespace: "edge", listener: "https" } },
      sandboxUrl: "https://*.sandbox.example.org",
    },
    including: ["berth/api", "berth/sandbox"],
    wrong: (spec) => Object.assign(spec, { hostnames: ["https://berth.example.com"] }),
  },
  {
    kind: "CiliumNetworkPolicy",
    module: "github.com/cilium/cilium@v1.18.3",
    sum: "h1:E0SnxNDeWJ3AtO6IX0oIsJdODT71M/QCcj9LjuLdGK0=",
    file: "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml",
    // Only for a DNS server at a link-local address, the platform and each tenant have the policy `allow-dns`.
    config: {
      network: { policies: "cilium", dns: [{ namespace: "kube-system" }, { cidr: "169.254.20.10/32" }] },
    },
    including: ["berth/allow-dns", "berth/worker-kubernetes", "berth/prometheus-kubelets", "tenant-acme/allow-dns"],
    wrong: (spec) => Object.assign(spec, { endpointSelector: "all" }),
  },
  {
    kind: "ScaledObject",
    module: "github.com/kedacore/keda/v2@v2.18.1",
    sum: "h1:h6bRt/IOxxtZpJlHSqhdH/lcInH7Z9obxg/JvWOmGAw=",
    file: "config/crd/bases/keda.sh_scaledobjects.yaml",
    config: { autoscaler: "keda" },
    including: ["berth/api", "berth/gateway", "berth/worker"],
    wrong: (spec) => Object.assign(spec, { maxReplicaCount: "many" }),
  },
  {
    kind: "Middleware",
    module: "github.com/traefik/traefik/v3@v3.6.0",
    sum: "h1:axM42ACSLlB/NWCAx/DTYCrSfmhMukVjXPJDkbZAk1c=",
    file: "docs/content/reference/dynamic-configuration/traefik.io_middlewares.yaml",
    config: { ingress: { controller: "traefik" } },
    including: ["berth/api-body-size", "berth/api-rate-limit"],
    wrong: (spec) => Object.assign(spec, { rateLimits: {} }),
  },
];

/** The definition's text. @throws Error if the module has another checksum */
async function definitionOf({ module, sum, file }: Case): Promise<string> {
  const { stdout } = await execa("go", ["mod", "download", "-json", module], { cwd: "/" });
  const { Dir, Sum } = JSON.parse(stdout) as { Dir: string; Sum: string };
  expect(Sum, module).toBe(sum);
  return readFileSync(join(Dir, file), "utf8");
}

beforeEach(() => {
  vi.resetModules(); // so that the next import runs the Pulumi program again
  for (const variable of ["KUBECONFIG", "DOCKER_HOST"]) vi.stubEnv(variable, undefined);
});

test.each(cases)("the API server accepts each $kind by the definition of $module", async (one) => {
  const definition = await definitionOf(one);
  const [, name = ""] = /^ {2}name: (\S+)$/m.exec(definition) ?? [];
  expect(await kubectl(["get", "crd", name, "--ignore-not-found", "--output=name"])).toBe("");
  onTestFinished(async () => void (await kubectl(["delete", "crd", name, "--ignore-not-found"])));
  await kubectl(["create", "--filename=-"], definition);
  await kubectlWait("condition=Established", 120, `crd/${name}`);

  interface KubernetesObject {
    kind: string;
    metadata: { namespace: string; name: string };
    spec: Record<string, unknown>;
  }
  const objects = (await recordStack("prod", one.config))
    .map(({ inputs }) => inputs as KubernetesObject)
    .filter(({ kind }) => kind === one.kind);
  const names = objects.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  expect(names).toEqual(expect.arrayContaining(one.including));
  const dryRun = (list: KubernetesObject[]) =>
    kubectl(
      ["create", "--dry-run=server", "--validate=strict", "--filename=-"],
      JSON.stringify({ apiVersion: "v1", kind: "List", items: list }),
    );
  const made = await dryRun(objects);
  expect(made.trim().split("\n")).toHaveLength(objects.length);
  const [bad] = structuredClone(objects);
  if (bad) one.wrong(bad.spec);
  await expect(dryRun(bad ? [bad] : [])).rejects.toThrow(/spec/);
});
