/** The dashboard's panels and their queries, by row. */

export interface Panel {
  title: string;
  /** An explanation of the panel, if the title is not enough. */
  description?: string;
  /** The unit as Grafana names it, for example s or reqps. Default: a plain number. */
  unit?: string;
  /** The PromQL query for each legend. In a legend, Grafana replaces `{{label}}` with the label's value. */
  queries: Record<string, string>;
}

const platform = (metric: string, more = "") => `${metric}{job="platform"${more}}`;
/** A query for a metric that every process reports with the same value. */
const same = (metric: string, ...by: string[]) =>
  `max${by.length > 0 ? ` by (${by.join(", ")})` : ""} (${platform(metric)})`;
const rate = (metric: string, more = "") => `rate(${platform(metric, more)}[$__rate_interval])`;
const quantile = (q: number, metric: string, ...by: string[]) =>
  `histogram_quantile(${q}, sum by (${[...by, "le"].join(", ")}) (${rate(`${metric}_bucket`)}))`;
const users = ',component=~"api|gateway",route!~"/health.*|/metrics"';
const tenant = 'tenant=~"$tenant"';

export const rows: Record<string, Panel[]> = {
  "Session lifecycle": [
    { title: "Sessions by state", queries: { "{{state}}": same("berth_sessions", "state") } },
    {
      title: "Created to running",
      unit: "s",
      queries: {
        "{{tier}} p50": quantile(0.5, "berth_session_start_duration_seconds", "tier"),
        "{{tier}} p95": quantile(0.95, "berth_session_start_duration_seconds", "tier"),
      },
    },
    {
      title: "Stopping to gone",
      unit: "s",
      queries: {
        p50: quantile(0.5, "berth_session_stop_duration_seconds"),
        p95: quantile(0.95, "berth_session_stop_duration_seconds"),
      },
    },
    {
      title: "Stuck sessions and orphans",
      description:
        "Sessions that are in a state for too long, pods and volumes without a session, and sessions whose objects are gone.",
      queries: {
        "stuck {{state}}": same("berth_sessions_stuck", "state"),
        "orphan {{kind}}": same("berth_orphans", "kind"),
      },
    },
    { title: "Open desktops", queries: { "{{pod}}": platform("berth_desktop_connections") } },
    {
      title: "Session pods that answer",
      queries: { "{{tenant}}": `sum by (tenant) (up{job="sessions",${tenant}})` },
    },
  ],
  "Queue and worker": [
    {
      title: "Jobs by state",
      queries: { "{{state}}": same("bullmq_jobs", "state") },
    },
    {
      title: "Waiting jobs for each worker",
      description: "The worker's autoscaler adds workers above its target, 5 by default.",
      queries: {
        "waiting jobs": same("bullmq_waiting_jobs"),
        "per worker": `${same("bullmq_waiting_jobs")} / sum(up{job="platform",component="worker"})`,
      },
    },
    { title: "The oldest waiting job", unit: "s", queries: { age: same("berth_oldest_waiting_job_age_seconds") } },
    {
      title: "Reconciles of sessions",
      unit: "ops",
      queries: { "{{outcome}}": `sum by (outcome) (${rate("berth_reconciles_total")})` },
    },
    {
      title: "Duration of a reconcile",
      unit: "s",
      queries: {
        p50: quantile(0.5, "berth_reconcile_duration_seconds"),
        p95: quantile(0.95, "berth_reconcile_duration_seconds"),
      },
    },
    { title: "Since the last sweep", unit: "s", queries: { age: same("berth_reconcile_age_seconds") } },
    {
      title: "Requests to Kubernetes",
      unit: "reqps",
      queries: { "{{verb}} {{code}}": `sum by (verb, code) (${rate("berth_kubernetes_requests_total")})` },
    },
    {
      title: "Restarts of watches",
      queries: { "{{pod}}": `increase(${platform("berth_watch_restarts_total")}[$__rate_interval])` },
    },
  ],
  Autoscalers: [
    {
      title: "Pods that answer",
      description: "The number of pods that the autoscalers have set, based on the metrics in this row.",
      queries: { "{{component}}": 'sum by (component) (up{job="platform",component=~"api|gateway|worker"})' },
    },
    {
      title: "Requests per pod of API and gateway",
      description: "The API's autoscaler has a target of 100 requests per second for each pod by default.",
      unit: "reqps",
      queries: { "{{pod}}": `sum by (pod) (${rate("http_requests_total", users)})` },
    },
    {
      title: "Open connections per pod",
      description:
        "WebSockets, streams and transfers. The gateway's autoscaler has a target of 500 connections for each pod by default.",
      queries: { "{{pod}}": platform("berth_open_connections") },
    },
    {
      title: "CPU",
      description: "The CPU that the processes report.",
      queries: { "{{pod}}": `sum by (pod) (${rate("process_cpu_seconds_total")})` },
    },
    { title: "Memory", unit: "bytes", queries: { "{{pod}}": platform("process_resident_memory_bytes") } },
  ],
  Tenants: [
    {
      title: "Sessions",
      queries: { "{{tenant}} {{state}}": `max by (tenant, state) (berth_tenant_sessions{job="platform",${tenant}})` },
    },
    {
      title: "Refused because of a quota",
      queries: { refusals: `sum(increase(${platform("berth_quota_refusals_total")}[$__rate_interval]))` },
    },
    {
      title: "CPU of sessions",
      description: "The CPU of all sessions in each tenant's namespace. This panel needs prometheus.kubelets.",
      queries: {
        "{{namespace}}":
          'sum by (namespace) (rate(container_cpu_usage_seconds_total{job="kubelets",namespace=~"tenant-($tenant)"}[$__rate_interval]))',
      },
    },
    {
      title: "Memory of sessions",
      description: "The memory of all sessions in each tenant's namespace. This panel needs prometheus.kubelets.",
      unit: "bytes",
      queries: {
        "{{namespace}}":
          'sum by (namespace) (container_memory_working_set_bytes{job="kubelets",namespace=~"tenant-($tenant)"})',
      },
    },
    {
      title: "Webhooks",
      unit: "ops",
      queries: { "{{outcome}}": `sum by (outcome) (${rate("berth_webhook_deliveries_total")})` },
    },
  ],
  API: [
    {
      title: "Requests",
      unit: "reqps",
      queries: { "{{status}}": `sum by (status) (${rate("http_requests_total", users)})` },
    },
    {
      title: "Failed requests",
      description: "The share of requests that fail. The service level objective allows 0.1 %.",
      unit: "percentunit",
      queries: { "5 min": "berth:api_failures:ratio_rate5m", "1 h": "berth:api_failures:ratio_rate1h" },
    },
    {
      title: "Duration by route, p95",
      unit: "s",
      queries: {
        "{{method}} {{route}}": `histogram_quantile(0.95, sum by (method, route, le) (${rate("http_request_duration_seconds_bucket", users)}))`,
      },
    },
  ],
  Stores: [
    { title: "Up", queries: { Postgres: "pg_up", Redis: "redis_up" } },
    {
      title: "Postgres: connections",
      queries: { "{{datname}} {{state}}": "sum by (datname, state) (pg_stat_activity_count) > 0" },
    },
    {
      title: "Postgres: size",
      unit: "bytes",
      queries: { "{{datname}}": 'pg_database_size_bytes{datname!~"template.*"}' },
    },
    {
      title: "Redis: memory",
      unit: "bytes",
      queries: { used: "redis_memory_used_bytes", limit: "redis_memory_max_bytes" },
    },
    { title: "Redis: evicted keys", queries: { evicted: "increase(redis_evicted_keys_total[$__rate_interval])" } },
    {
      title: "Since the last dump",
      unit: "s",
      queries: {
        dumped: `time() - ${same("berth_backup_last_success_timestamp_seconds")}`,
        "restored and compared": `time() - ${same("berth_restore_check_last_success_timestamp_seconds")}`,
      },
    },
  ],
};
