import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { parseConfig } from "../../../infra/config/config.ts";
import { apiEndpoints } from "../../../infra/kubernetes/api-endpoints.ts";
import { makeTenants } from "../../../infra/tenants/tenants.ts";

/** The config's own parsing and the components, with what index.ts does for tenants. */
export async function make(kubernetes: k8s.Provider) {
  const names: string[] = new pulumi.Config().requireObject("tenants");
  const { config, faults } = parseConfig({
    context: "bench",
    registry: "registry.example.com/berth",
    publicUrl: "https://berth.example.com",
    tenants: JSON.stringify(names.map((name) => ({ name }))),
  });
  if (!config) throw new pulumi.RunError(faults.join("\n"));
  const args = { ...config, platformNamespace: "berth", kubernetesApi: apiEndpoints(kubernetes) };
  const { keys, namespaces } = makeTenants(config.tenants, args, { providers: [kubernetes] });
  return { keys: pulumi.secret(keys), namespaces };
}
