import * as k8s from "@pulumi/kubernetes";
import type * as pulumi from "@pulumi/pulumi";
import { type Component, labels, selector } from "./labels.ts";

export interface HeadlessServiceArgs {
  namespace: pulumi.Input<string>;
  component: Component;
  port: { name: string; port: number };
}

/** The headless Service of a StatefulSet with one pod. The DNS name of the Service resolves to the address of the pod. */
export const headlessService = (
  name: string,
  { namespace, component, port }: HeadlessServiceArgs,
  opts: pulumi.CustomResourceOptions,
): k8s.core.v1.Service =>
  new k8s.core.v1.Service(
    name,
    {
      // `up` does not wait for a ready pod, because the StatefulSet that makes the pod needs the Service first.
      metadata: { name, namespace, labels: labels(component), annotations: { "pulumi.com/skipAwait": "true" } },
      spec: { clusterIP: "None", selector: selector(component), ports: [port] },
    },
    opts,
  );
