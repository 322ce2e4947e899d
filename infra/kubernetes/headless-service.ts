import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { type Component, labels, selector } from "./labels.ts";

export interface HeadlessServiceArgs {
  namespace: pulumi.Input<string>;
  component: Component;
  port: { name: string; port: number };
}

/** The Service of a StatefulSet: its name is the address of the component's one pod, because it has no address of its own. */
export const headlessService = (
  name: string,
  { namespace, component, port }: HeadlessServiceArgs,
  opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Service =>
  new k8s.core.v1.Service(
    name,
    {
      // A Service that has no ready pod yet would hold up the StatefulSet that needs it.
      metadata: { name, namespace, labels: labels(component), annotations: { "pulumi.com/skipAwait": "true" } },
      spec: { clusterIP: "None", selector: selector(component), ports: [port] },
    },
    opts,
  );
