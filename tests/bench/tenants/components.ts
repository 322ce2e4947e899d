import type * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { parseConfig } from "../../../infra/config/config.ts";
import { ScannedImages } from "../../../infra/kubernetes/scanned-images.ts";
import { makeTenants } from "../../../infra/tenants/tenants.ts";

/** Parses the config and creates the components of all tenants, in the same way as infra/index.ts. */
export async function make(kubernetes: k8s.Provider) {
  const names: string[] = new pulumi.Config().requireObject("tenants");
  const { config, faults } = parseConfig({
    context: "bench",
    registry: "registry.example.com/berth",
    publicUrl: "https://berth.example.com",
    tenants: JSON.stringify(names.map((name) => ({ name }))),
  });
  if (!config) throw new pulumi.RunError(faults.join("\n"));
  const { name: priorityClassName } = config.priorityClasses.imagePullers;
  const pullers = {
    berthd: "berthd",
    requestScale: 1,
    rolloutSeconds: 300,
    priorityClassName,
    scannedImages: new ScannedImages(),
  };
  const platform = {
    platformNamespace: "berth",
    agentImage: "agent",
    pullers,
  };
  const args = { ...config, ...platform };
  const { keys, namespaces } = makeTenants(config.tenants, args, { providers: [kubernetes] });
  return { keys: pulumi.secret(keys), namespaces };
}
