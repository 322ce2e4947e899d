/** Makes the file of all alert rules for Prometheus. */
import type { PrometheusConfig } from "../../config/monitoring.ts";
import type { Validity } from "../../kubernetes/certificate.ts";
import type { Alert } from "./alert.ts";
import { availabilityAlerts, availabilityRecordings } from "./availability.ts";
import { platformAlerts } from "./platform.ts";
import { sessionAlerts } from "./sessions.ts";
import { backupAlerts, storeAlerts } from "./stores.ts";

export interface AlertOptions extends Pick<PrometheusConfig, "alertAges" | "runbooks"> {
  /** The platform's namespace. */
  namespace: string;
  /** Whether the gateway has separate pods. */
  gateway: boolean;
  /** Whether an autoscaler sets the number of pods. */
  autoscaled: boolean;
  /** The validity of the certificate of the stack's adapter; null if the stack has no adapter. */
  adapter: Validity | null;
  /** Whether Postgres is the bundled one, which the stack backs up with dumps. */
  backups: boolean;
}

/** The alerts of a stack, by group. */
export const alertGroups = (options: AlertOptions): Record<string, Alert[]> => ({
  availability: availabilityAlerts,
  sessions: sessionAlerts,
  platform: platformAlerts(
    options.namespace,
    options.gateway ? ["api", "gateway", "worker"] : ["api", "worker"],
    options.autoscaled,
    options.adapter,
  ),
  stores: [...storeAlerts, ...(options.backups ? backupAlerts(options.alertAges) : [])],
});

/** The alert's name in Prometheus: `Berth` and the `name` of the alert. */
export const alertName = ({ name }: Pick<Alert, "name">): string => `Berth${name}`;

/** The content of Prometheus' rules file: `{ groups: [{ name, rules }] }`. */
export function alertRules(options: AlertOptions) {
  const alerts = Object.entries(alertGroups(options)).map(([group, list]) => ({
    name: `berth-${group}`,
    rules: list.map((alert) => rule(alert, options.runbooks)),
  }));
  return { groups: [{ name: "berth-recordings", rules: availabilityRecordings }, ...alerts] };
}

const rule = (alert: Alert, runbooks: string) => ({
  alert: alertName(alert),
  expr: alert.expr,
  ...(alert.for === undefined ? {} : { for: alert.for }),
  labels: { severity: alert.severity, ...alert.labels },
  annotations: {
    summary: alert.summary,
    description: alert.description,
    runbook_url: `${runbooks}#${alertName(alert).toLowerCase()}`,
  },
});
