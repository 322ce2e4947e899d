/** The labels of the stack's objects, and the labels that select pods. */
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

/** The labels that select the pods of a component. They never change. */
export const selector = (component: Component) => ({
  "app.kubernetes.io/name": component,
  "app.kubernetes.io/component": component,
});

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/**
 * The components whose pods run the runtime image. Their objects have a label with Berth's version. Objects of other components
 * don't, because these components run other images or have no pods.
 */
const berthsOwn: Component[] = ["api", "gateway", "worker", "migrate", "cleanup"];

/** The labels of every object of this stack. The value of the label `instance` is the name of the Pulumi stack. */
export const stackLabels = () => ({
  "app.kubernetes.io/instance": pulumi.getStack(),
  "app.kubernetes.io/part-of": "berth",
  "app.kubernetes.io/managed-by": "pulumi",
});

/** The labels that Kubernetes recommends, for an object of the component. */
export const labels = (component: Component) => ({
  ...selector(component),
  ...(berthsOwn.includes(component) && { "app.kubernetes.io/version": version }),
  ...stackLabels(),
});

/** The label with the tenant's name, on the tenant's namespace and on all objects in it. */
export const tenantLabel = "berth.dev/tenant";

/** The label with the session's id. All objects of a session have this label. */
export const sessionLabel = "berth.dev/session";

/** The labels of the pods that the worker makes for sessions. */
export const sessionSelector = { "app.kubernetes.io/component": "session" };
