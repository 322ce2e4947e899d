/** The labels that every object of Berth carries. */
import { readFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";

export type Component =
  | "platform"
  | "postgres"
  | "backup"
  | "redis"
  | "migrate"
  | "api"
  | "gateway"
  | "worker"
  | "cleanup"
  | "image-puller"
  | "ingress"
  | "tenant"
  | "prometheus"
  | "prometheus-adapter"
  | "postgres-exporter"
  | "redis-exporter"
  | "grafana";

/** The labels by which pods of a component are found; they never change. */
export const selector = (component: Component) => ({
  "app.kubernetes.io/name": component,
  "app.kubernetes.io/component": component,
});

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** The components that run Berth's own code; the others have versions of their own, which their image tells. */
const berthsOwn: Component[] = ["api", "gateway", "worker", "migrate", "cleanup"];

/** The labels of every object of this stack; the instance is the Pulumi stack. */
export const stackLabels = () => ({
  "app.kubernetes.io/instance": pulumi.getStack(),
  "app.kubernetes.io/part-of": "berth",
  "app.kubernetes.io/managed-by": "pulumi",
});

/** The recommended labels of Kubernetes for an object of the component. */
export const labels = (component: Component) => ({
  ...selector(component),
  ...(berthsOwn.includes(component) && { "app.kubernetes.io/version": version }),
  ...stackLabels(),
});

/** On the namespace and all objects of a tenant: the tenant's name. */
export const tenantLabel = "berth.dev/tenant";

/** On the pods that the worker starts for sessions. */
export const sessionSelector = { "app.kubernetes.io/component": "session" };
